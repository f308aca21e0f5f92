//! REST requests for what GraphQL does not offer.

use crate::error::GitlabError;
use crate::http::{Http, RetryBudget, Subject};

/// The path of the token's own info.
pub(crate) const TOKEN_INFO: &str = "api/v4/personal_access_tokens/self";

/// The rights of a token.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct TokenInfo {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The number of its user.
    #[serde(default)]
    pub user_id: Option<u64>,
    /// Its scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The day it expires, if it has one.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// Reads the info of the token itself (`GET /personal_access_tokens/self`, which group and project tokens support
/// too).
pub(crate) async fn token_info(http: &Http) -> Result<TokenInfo, GitlabError> {
    let subject = Subject {
        request: "read token info",
        about: &http.settings().group,
    };
    let response = http
        .get(subject, TOKEN_INFO, RetryBudget::Interactive)
        .await?;
    response.json(subject)
}
