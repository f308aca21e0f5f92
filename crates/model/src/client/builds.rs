//! `/builds`, and the builds of iterations.

use reqwest::Method;
use serde::Serialize;

use super::Client;
use super::error::ClientError;
use crate::api::{AttemptInputs, BuildDetail, BuildSummary};
use crate::{Architecture, AttemptId, BuildId, BuildStatus, NamespaceName, Pkgbase};

/// The builds to list. An absent value excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BuildQuery {
    /// Their status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<BuildStatus>,
    /// Their architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Their source package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<Pkgbase>,
    /// The beginning of their source package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl Client {
    /// Returns builds of an iteration, in a valid build order: all that match, or the first `most`.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn builds(
        &self,
        name: &NamespaceName,
        iteration: u32,
        query: &BuildQuery,
        most: Option<u32>,
    ) -> Result<Vec<BuildSummary>, ClientError> {
        let number = iteration.to_string();
        let segments = ["namespaces", name.as_str(), "iterations", &number, "builds"];
        self.entries(&segments, query, most).await
    }

    /// Returns a build with its attempts and packages.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn build(&self, id: BuildId) -> Result<BuildDetail, ClientError> {
        self.json(self.request(Method::GET, &["builds", &id.to_string()]))
            .await
    }

    /// Returns what an attempt builds from.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn attempt_inputs(&self, id: AttemptId) -> Result<AttemptInputs, ClientError> {
        self.json(self.request(Method::GET, &["attempts", &id.to_string(), "inputs"]))
            .await
    }
}
