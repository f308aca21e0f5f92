//! Identifiers of traces, and the header that passes them on (W3C Trace Context, `traceparent`).

use std::fmt;
use std::str::FromStr;

use super::invalid::InvalidName;
use super::numbers::AttemptId;

/// Defines a type for a number of bytes that are not all 0, as hexadecimal text.
macro_rules! hex_id {
    ($(#[doc = $doc:literal])+ $name:ident, $kind:literal, $length:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Returns the identifier with these bytes, which are not all 0.
            #[must_use]
            pub fn from_bytes(bytes: [u8; $length]) -> Option<Self> {
                (bytes != [0; $length]).then_some(Self(bytes))
            }

            /// Returns its bytes.
            #[must_use]
            pub fn to_bytes(self) -> [u8; $length] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $length];
                for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
                    *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
                }
                // Digits are ASCII. One write, because every request has one.
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex(text.as_bytes())
                    .and_then(Self::from_bytes)
                    .ok_or_else(|| InvalidName::new($kind, text, EXPECTED))
            }
        }
    };
}

/// Hexadecimal digits.
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const EXPECTED: &str = "expected lower-case hexadecimal digits that are not all 0";

hex_id! {
    /// The id of a trace. That of an attempt is the attempt's id without dashes.
    TraceId, "trace id", 16
}

hex_id! {
    /// The id of a span: a part of a trace with a beginning and an end.
    SpanId, "span id", 8
}

crate::schema::schema!(
    TraceId,
    crate::schema::text(
        &["The id of a trace. That of an attempt is the attempt's id without dashes."],
        "^[0-9a-f]{32}$",
        "01939c5e7b1a7c3e9d2f4b5a6c7d8e9f"
    )
);

impl serde::Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for TraceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl TraceId {
    /// Generates a random id.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }
}

impl SpanId {
    /// Generates a random id.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 8];
        // As in `root_of`: this half has a variant.
        bytes.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[8..]);
        Self(bytes)
    }

    /// Returns the root span of an attempt. Every program can compute it, so that the spans of a server that restarted
    /// in between belong together.
    #[must_use]
    pub fn root_of(attempt: AttemptId) -> Self {
        let mut bytes = [0; 8];
        // The half of the UUID that is random. Its variant makes it differ from 0.
        bytes.copy_from_slice(&attempt.as_bytes()[8..]);
        Self(bytes)
    }
}

impl From<AttemptId> for TraceId {
    fn from(attempt: AttemptId) -> Self {
        // The bits of version and variant make it differ from 0.
        Self(*attempt.as_bytes())
    }
}

/// The header `traceparent`: the trace of a request, and the span that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether the sender records the trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// The name of the header.
    pub const HEADER: &str = "traceparent";

    /// Returns the header of requests about an attempt.
    #[must_use]
    pub fn of(attempt: AttemptId) -> Self {
        Self {
            trace: attempt.into(),
            span: SpanId::root_of(attempt),
            is_sampled: true,
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace,
            span,
            is_sampled,
        } = self;
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(*is_sampled))
    }
}

impl FromStr for TraceParent {
    type Err = InvalidName;

    /// Parses version 00, and of later versions the part that they have in common with it (W3C Trace Context, 3.2.4).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidName::new("traceparent", text, "expected 00-TRACE-SPAN-FLAGS");
        let mut parts = text.splitn(5, '-');
        let mut next = || parts.next().ok_or_else(invalid);
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        let [version] = parse_hex::<1>(version.as_bytes()).ok_or_else(invalid)?;
        let [flags] = parse_hex::<1>(flags.as_bytes()).ok_or_else(invalid)?;
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) {
            return Err(invalid());
        }
        Ok(Self {
            trace: trace.parse().map_err(|_| invalid())?,
            span: span.parse().map_err(|_| invalid())?,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// Parses exactly so many bytes of lower-case hexadecimal digits.
fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn keeps_traceparent() {
        let parsed: TraceParent = HEADER.parse().unwrap();
        assert!(parsed.is_sampled);
        assert_eq!(parsed.to_string(), HEADER);
        let unsampled = HEADER.replace("-01", "-00");
        assert!(!unsampled.parse::<TraceParent>().unwrap().is_sampled);
    }

    #[test]
    fn rejects_malformed_traceparent() {
        let zero_trace = HEADER.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let zero_span = HEADER.replace("b7ad6b7169203331", &"0".repeat(16));
        for text in [
            "",
            "00",
            &HEADER.to_uppercase(),
            &HEADER.replace("00-", "ff-"),
            &HEADER.replace("-01", "-0"),
            &format!("{HEADER}-more"),
            &format!(" {HEADER}"),
            &zero_trace,
            &zero_span,
            &HEADER.replace("0af7", "0ag7"),
            &HEADER.replace("0af7", "äf7"),
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }

    #[test]
    fn ignores_what_later_versions_add() {
        let later = format!("{}-more", HEADER.replace("00-", "01-"));
        let parsed: TraceParent = later.parse().unwrap();
        assert_eq!(parsed, HEADER.parse().unwrap());
    }

    #[test]
    fn derives_trace_of_an_attempt_from_its_id() {
        let attempt: AttemptId = "0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b".parse().unwrap();
        let trace = TraceId::from(attempt);
        assert_eq!(trace.to_string(), attempt.to_string().replace('-', ""));
        assert_eq!(
            TraceParent::of(attempt).to_string(),
            "00-0193f7a01c2d7e3f8a4b5c6d7e8f9a0b-8a4b5c6d7e8f9a0b-01"
        );
    }
}
