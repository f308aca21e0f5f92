//! Identifiers that the programs make themselves.

use std::fmt;
use std::str::FromStr;

use super::invalid::InvalidName;
use super::macros::{number_id, sqlx_text};

number_id! {
    /// The number of a build; unique within a server.
    BuildId, "build number";
    /// The number of a token; unique within a server.
    TokenId, "token number";
}

/// A UUID (version 7, so that later ones sort later) with a kind of its own.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Makes a new, unique identifier.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| InvalidName::new($kind, text, "expected a UUID"))
            }
        }

        sqlx_text!($name);
    };
}

uuid_id! {
    /// Names one attempt at a build, everywhere: in the API, in logs and as a GitLab pipeline's name.
    AttemptId, "attempt id"
}

uuid_id! {
    /// Made by a worker for each claim; repeating a claim with the same id returns the same attempt.
    ClaimId, "claim id"
}
