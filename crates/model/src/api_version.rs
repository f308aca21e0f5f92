//! The versions of the HTTP API that programs speak. Each says so with every request and response, so that programs of
//! different versions either work together or are told which of them is too old.

use std::fmt;
use std::str::FromStr;

/// The header of requests and responses with the versions that the sender speaks.
pub const API_VERSION_HEADER: &str = "buildbtw-api";

/// The versions that a program speaks, from the oldest to the newest. As a text, `2` or `1-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersions {
    oldest: u32,
    newest: u32,
}

/// A text that names no versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a version such as `2`, or a range such as `1-2`")]
pub struct InvalidVersions;

impl ApiVersions {
    /// The versions of a server. Version 1 is that of programs that send no version.
    pub const OF_SERVER: Self = Self {
        oldest: 1,
        newest: 2,
    };
    /// The versions of a client or worker.
    pub const OF_CLIENT: Self = Self {
        oldest: 2,
        newest: 2,
    };
    /// The version of programs that send none.
    pub const BEFORE_NEGOTIATION: Self = Self {
        oldest: 1,
        newest: 1,
    };

    /// Returns whether programs with these versions understand each other.
    #[must_use]
    pub fn is_compatible(self, other: Self) -> bool {
        self.oldest <= other.newest && other.oldest <= self.newest
    }

    /// Returns whether a program has to be updated, rather than the other one.
    #[must_use]
    pub fn is_older(self, other: Self) -> bool {
        self.newest < other.newest
    }

    /// Returns one sentence for people: which program is too old for which.
    #[must_use]
    pub fn mismatch(client: Self, server: Self) -> String {
        let which = match client.is_older(server) {
            true => "program is too old for this server",
            false => "server is too old for this program",
        };
        format!("this {which}: the program has version {client} of the API, the server {server}")
    }

    /// Returns what to do about a mismatch.
    #[must_use]
    pub fn remedy(client: Self, server: Self) -> &'static str {
        match client.is_older(server) {
            true => "update this program to the version of the server",
            false => "update the server, or use this program in the version of the server",
        }
    }
}

impl fmt::Display for ApiVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            return self.newest.fmt(f);
        }
        write!(f, "{}-{}", self.oldest, self.newest)
    }
}

impl FromStr for ApiVersions {
    type Err = InvalidVersions;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (oldest, newest) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        match (number(oldest), number(newest)) {
            (Some(oldest), Some(newest)) if oldest <= newest => Ok(Self { oldest, newest }),
            _ => Err(InvalidVersions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(text: &str) -> ApiVersions {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints_versions() {
        for text in ["1", "1-2", "7-12"] {
            assert_eq!(versions(text).to_string(), text);
        }
        for text in ["", "x", "2-1", "-1", "1-", "1-2-3", "+1", "99999999999"] {
            assert!(text.parse::<ApiVersions>().is_err(), "{text}");
        }
    }

    #[test]
    fn programs_with_a_common_version_are_compatible() {
        for (one, other, expected) in [
            ("1", "1-2", true),
            ("2", "1-2", true),
            ("2-5", "1-2", true),
            ("3", "1-2", false),
            ("1", "2-3", false),
        ] {
            let (one, other) = (versions(one), versions(other));
            assert_eq!(one.is_compatible(other), expected, "{one} and {other}");
            assert_eq!(other.is_compatible(one), expected, "{other} and {one}");
        }
        let (client, server) = (ApiVersions::OF_CLIENT, ApiVersions::OF_SERVER);
        assert!(client.is_compatible(server));
        assert!(ApiVersions::BEFORE_NEGOTIATION.is_compatible(server));
    }

    #[test]
    fn says_which_program_is_too_old() {
        let text = ApiVersions::mismatch(versions("1"), versions("2-3"));
        let expected = "this program is too old for this server: the program has version 1 of the API, the server 2-3";
        assert_eq!(text, expected);
        let text = ApiVersions::mismatch(versions("4"), versions("2-3"));
        assert!(
            text.starts_with("this server is too old for this program"),
            "{text}"
        );
    }
}
