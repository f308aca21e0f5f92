//! `/tokens`: who may write what.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{TokenId, TokenScope};

/// Asks for a new token (admin only).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What the token is for, for people.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// Seconds until it expires; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u32>,
}

/// A new token. Its text is shown this once and stored nowhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatedToken {
    /// What is known about it afterwards.
    #[serde(flatten)]
    pub summary: TokenSummary,
    /// The secret itself.
    pub token: String,
}

/// What is known about a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Its number, for `token revoke`.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Whose token a request carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenIdentity {
    /// The token's name.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
}
