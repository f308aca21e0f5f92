//! REST, for what GraphQL cannot say.

use crate::error::GitlabError;
use crate::http::{Http, Patience, Subject};

/// What the token may do.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct TokenInfo {
    /// Its scopes.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// The day it expires, if it does.
    #[serde(default)]
    pub(crate) expires_at: Option<String>,
}

/// Asks about the token itself (`GET /personal_access_tokens/self`; group and project tokens answer
/// it, too).
pub(crate) async fn token_info(http: &Http) -> Result<TokenInfo, GitlabError> {
    let subject = Subject {
        request: "read token info",
        about: &http.settings().group,
    };
    let path = "api/v4/personal_access_tokens/self";
    let answer = http.get(subject, path, Patience::Short).await?;
    answer.json(subject)
}
