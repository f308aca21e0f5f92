//! `/sources`.

use reqwest::Method;
use serde::Serialize;

use super::Client;
use super::error::ClientError;
use crate::Pkgbase;
use crate::api::{SourceRefs, SourceRepositorySummary, SourcesOverview};

/// The source repositories to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceQuery {
    /// Whether to list only those that cannot be used.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
    /// A part of their path or pkgbase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// The beginning of their pkgbase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl Client {
    /// Returns the state of all sources.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn sources_overview(&self) -> Result<SourcesOverview, ClientError> {
        self.json(self.request(Method::GET, &["sources", "overview"]))
            .await
    }

    /// Returns source repositories, ordered by path: all that match, or the first `most`.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn sources(
        &self,
        query: &SourceQuery,
        most: Option<u32>,
    ) -> Result<Vec<SourceRepositorySummary>, ClientError> {
        self.entries(&["sources"], query, most).await
    }

    /// Returns the branches of a source repository.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn source_refs(&self, pkgbase: &Pkgbase) -> Result<SourceRefs, ClientError> {
        let segments = ["sources", pkgbase.as_str(), "refs"];
        self.json(self.request(Method::GET, &segments)).await
    }
}
