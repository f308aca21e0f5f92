//! REST requests for what GraphQL does not offer.

use crate::error::GitlabError;
use crate::http::{Http, RetryBudget, Subject};

/// The rights of a token.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct TokenInfo {
    /// Its scopes.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// The day it expires, if it has one.
    #[serde(default)]
    pub(crate) expires_at: Option<String>,
}

/// Reads the info of the token itself (`GET /personal_access_tokens/self`, which group and project tokens support
/// too).
pub(crate) async fn token_info(http: &Http) -> Result<TokenInfo, GitlabError> {
    let subject = Subject {
        request: "read token info",
        about: &http.settings().group,
    };
    let path = "api/v4/personal_access_tokens/self";
    let response = http.get(subject, path, RetryBudget::Interactive).await?;
    response.json(subject)
}
