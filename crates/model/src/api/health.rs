//! The response of `/readyz`.

use serde::{Deserialize, Serialize};

/// Whether the server can do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadyResponse {
    /// Whether all checks passed.
    pub ready: bool,
    /// The version of the server; earlier ones do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The checks.
    pub checks: Vec<HealthCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthCheck {
    /// What was checked: `writer`, `disk`, `migrations`, `sources` or `shutdown`.
    pub name: String,
    /// Whether it passed.
    pub ok: bool,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
