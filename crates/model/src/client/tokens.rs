//! `/tokens`, `/token` and `/sources`.

use reqwest::Method;

use super::Client;
use super::error::ClientError;
use crate::TokenId;
use crate::api::{
    CreateToken, CreatedToken, Page, SourceRepositorySummary, SourcesOverview, TokenIdentity,
    TokenSummary,
};

impl Client {
    /// Whose token this client uses.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn identity(&self) -> Result<TokenIdentity, ClientError> {
        self.json(self.request(Method::GET, &["token"])).await
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn create_token(&self, token: &CreateToken) -> Result<CreatedToken, ClientError> {
        self.json(self.request(Method::POST, &["tokens"]).json(token))
            .await
    }

    /// All tokens, the newest first.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn tokens(&self) -> Result<Vec<TokenSummary>, ClientError> {
        self.json(self.request(Method::GET, &["tokens"])).await
    }

    /// Revokes a token at once.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses: it keeps the last valid admin token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<TokenSummary, ClientError> {
        self.json(self.request(Method::DELETE, &["tokens", &id.to_string()]))
            .await
    }

    /// Revokes a token at once, even if it is the last valid admin token.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn force_revoke_token(&self, id: TokenId) -> Result<TokenSummary, ClientError> {
        let request = self.request(Method::DELETE, &["tokens", &id.to_string()]);
        self.json(request.query(&[("force", true)])).await
    }

    /// The state of the sources as a whole.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn sources_overview(&self) -> Result<SourcesOverview, ClientError> {
        self.json(self.request(Method::GET, &["sources", "overview"]))
            .await
    }

    /// A page of the source repositories, by path; only those that cannot be used if `broken`.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn sources(
        &self,
        broken: bool,
        cursor: Option<&str>,
    ) -> Result<Page<SourceRepositorySummary>, ClientError> {
        let mut request = self
            .request(Method::GET, &["sources"])
            .query(&[("broken", broken)]);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        self.json(request).await
    }
}
