//! The ID token of a job. The front reads it from the job; the exchange sends it to the server.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ID token of a job; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct IdToken(String);

impl IdToken {
    /// Longer than any ID token.
    const MAX_BYTES: usize = 32 << 10;

    /// Returns the token's text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl TryFrom<String> for IdToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it is not an ID token");
        }
        if text.len() > Self::MAX_BYTES {
            return Err("it is longer than an ID token can be");
        }
        Ok(Self(text))
    }
}

impl From<IdToken> for String {
    fn from(token: IdToken) -> Self {
        token.0
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
