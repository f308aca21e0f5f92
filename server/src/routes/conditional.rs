//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// Tags every JSON response to GET and HEAD by its content, and responds with 304 if the client has it.
pub(crate) async fn tag_json(request: Request, next: Next) -> Result<Response, Error> {
    // Within the route, a response to HEAD still has its body.
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = HeaderMap::from_iter(
        request
            .headers()
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .map(|value| (header::IF_NONE_MATCH, value.clone())),
    );
    let response = next.run(request).await;
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_json = media_type.is_some_and(|value| value.as_bytes() == b"application/json");
    if !is_read || !is_json || response.status() != StatusCode::OK {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    // The whole text is in memory already.
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(anyhow::Error::from)?;
    let tag = tag_of(&body)?;
    let caching = HeaderValue::from_static("private, no-cache");
    if has_tag(&known, &tag) {
        let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, caching)];
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    parts.headers.insert(header::ETAG, tag);
    parts
        .headers
        .entry(header::CACHE_CONTROL)
        .or_insert(caching);
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Returns a strong tag of a content: half of its digest, which is enough to tell two apart.
pub(crate) fn tag_of(content: &[u8]) -> anyhow::Result<HeaderValue> {
    let digest = Sha256::digest(content);
    let half = digest.iter().take(16);
    let half: String = half.map(|byte| format!("{byte:02x}")).collect();
    Ok(HeaderValue::from_str(&format!("\"{half}\""))?)
}

/// Returns whether the client has the representation with this tag: `If-None-Match`, compared weakly.
pub(crate) fn has_tag(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = tags.filter_map(|value| value.to_str().ok());
    let Ok(tag) = tag.to_str() else {
        return false;
    };
    known.any(|value| {
        let mut known = value.split(',').map(str::trim);
        value.trim() == "*" || known.any(|known| known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

/// The part of a representation that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    /// The whole representation.
    Whole,
    /// The bytes from the first position up to the second, exclusive.
    Part(u64, u64),
    /// Bytes outside of the representation.
    Unsatisfiable,
}

/// Evaluates `Range` and `If-Range` for a representation of this length, with its strong tag if it has one.
/// Several ranges in one request return the whole, which is allowed.
pub(crate) fn requested_range(
    method: &Method,
    headers: &HeaderMap,
    length: u64,
    tag: Option<&HeaderValue>,
) -> RequestedRange {
    let Some(range) = headers.get(header::RANGE) else {
        return RequestedRange::Whole;
    };
    if !range_applies(method, headers, tag) {
        return RequestedRange::Whole;
    }
    range
        .to_str()
        .ok()
        .and_then(|text| parse(text, length))
        .unwrap_or(RequestedRange::Whole)
}

/// Returns whether `Range` applies: the method is GET (RFC 9110, section 14.2), it is one range of bytes, and
/// `If-Range`, if present, has this tag. A date is not precise enough.
pub(crate) fn range_applies(
    method: &Method,
    headers: &HeaderMap,
    tag: Option<&HeaderValue>,
) -> bool {
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let is_range = range.is_some_and(|range| parse(range, u64::MAX).is_some());
    if method != Method::GET || !is_range {
        return false;
    }
    match headers.get(header::IF_RANGE) {
        None => true,
        // Weak tags never match (RFC 9110, section 13.1.5); ours are strong.
        Some(known) => tag == Some(known),
    }
}

/// Parses one range of bytes; returns `None` for what has to be ignored.
fn parse(text: &str, length: u64) -> Option<RequestedRange> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that does not fit is beyond every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(number(suffix)?), length),
        (first, "") => (number(first)?, length),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    Some(if start < end {
        RequestedRange::Part(start, end)
    } else {
        RequestedRange::Unsatisfiable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let pairs = values.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn reads_one_range_of_bytes() {
        for (range, expected) in [
            ("bytes=0-3", RequestedRange::Part(0, 4)),
            ("bytes=4-", RequestedRange::Part(4, 10)),
            ("bytes=-3", RequestedRange::Part(7, 10)),
            ("bytes=-30", RequestedRange::Part(0, 10)),
            ("Bytes = 2-2", RequestedRange::Part(2, 3)),
            (
                "bytes=5-99999999999999999999999",
                RequestedRange::Part(5, 10),
            ),
            ("bytes=10-", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            (
                "bytes=99999999999999999999999-",
                RequestedRange::Unsatisfiable,
            ),
            ("bytes=3-2", RequestedRange::Whole),
            ("bytes=0-1,3-4", RequestedRange::Whole),
            ("bytes=a-b", RequestedRange::Whole),
            ("bytes=+1-2", RequestedRange::Whole),
            ("lines=0-3", RequestedRange::Whole),
            ("bytes", RequestedRange::Whole),
            ("bytes=-", RequestedRange::Whole),
        ] {
            let headers = headers(&[(header::RANGE, range)]);
            assert_eq!(
                requested_range(&Method::GET, &headers, 10, None),
                expected,
                "{range}"
            );
        }
        let all = headers(&[(header::RANGE, "bytes=0-")]);
        assert_eq!(
            requested_range(&Method::GET, &all, 0, None),
            RequestedRange::Unsatisfiable,
            "of nothing"
        );
    }

    #[test]
    fn sends_range_only_for_matching_tag() {
        let tag = HeaderValue::from_static("\"a\"");
        for (known, expected) in [
            ("\"a\"", RequestedRange::Part(1, 2)),
            ("\"b\"", RequestedRange::Whole),
            ("W/\"a\"", RequestedRange::Whole),
            ("Sun, 29 Nov 2026 10:00:00 GMT", RequestedRange::Whole),
        ] {
            let headers = headers(&[(header::RANGE, "bytes=1-1"), (header::IF_RANGE, known)]);
            assert_eq!(
                requested_range(&Method::GET, &headers, 9, Some(&tag)),
                expected,
                "{known}"
            );
            assert_eq!(
                requested_range(&Method::GET, &headers, 9, None),
                RequestedRange::Whole,
                "{known}, no tag"
            );
        }
    }

    #[test]
    fn responds_to_head_with_full_length() {
        let headers = headers(&[(header::RANGE, "bytes=1-1")]);
        assert_eq!(
            requested_range(&Method::HEAD, &headers, 9, None),
            RequestedRange::Whole
        );
    }

    #[test]
    fn compares_known_tags_weakly() {
        let tag = HeaderValue::from_static("\"a\"");
        for (known, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let headers = headers(&[(header::IF_NONE_MATCH, known)]);
            assert_eq!(has_tag(&headers, &tag), expected, "{known}");
        }
    }
}
