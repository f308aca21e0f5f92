//! `/tokens`: tokens and what they allow.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{TokenId, TokenScope};

/// A request for a new token (admin only).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What the token is for, for humans.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// Seconds until it expires, at least 1; absent for a token that never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 1, maximum = 4_294_967_295_i64)
    )]
    pub expires_in_s: Option<u32>,
}

/// A new token. Its text is shown only once and is never stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedToken {
    /// The token as listed later.
    #[serde(flatten)]
    pub summary: TokenSummary,
    /// The secret.
    pub token: String,
}

/// A token in a list, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenSummary {
    /// Its number, for `token revoke`.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The token that a request was sent with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenIdentity {
    /// The token's name.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
}
