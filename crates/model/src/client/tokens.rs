//! `/tokens` and `/token`.

use reqwest::Method;

use super::Client;
use super::error::ClientError;
use crate::TokenId;
use crate::api::{CreateToken, CreatedToken, TokenIdentity, TokenSummary};

impl Client {
    /// Returns the identity of this client's token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn identity(&self) -> Result<TokenIdentity, ClientError> {
        self.json(self.request(Method::GET, &["token"])).await
    }

    /// Creates a token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn create_token(&self, token: &CreateToken) -> Result<CreatedToken, ClientError> {
        self.json(self.request(Method::POST, &["tokens"]).json(token))
            .await
    }

    /// Returns all tokens, the newest first.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn tokens(&self) -> Result<Vec<TokenSummary>, ClientError> {
        self.all_pages(&["tokens"]).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request: it keeps the last valid admin token.
    pub async fn revoke_token(&self, id: TokenId) -> Result<TokenSummary, ClientError> {
        self.json(self.request(Method::DELETE, &["tokens", &id.to_string()]))
            .await
    }

    /// Revokes a token, even if it is the last valid admin token.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn force_revoke_token(&self, id: TokenId) -> Result<TokenSummary, ClientError> {
        let request = self.request(Method::DELETE, &["tokens", &id.to_string()]);
        self.json(request.query(&[("force", true)])).await
    }
}
