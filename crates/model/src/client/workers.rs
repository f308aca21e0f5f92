//! `/workers`.

use reqwest::Method;

use super::Client;
use super::error::ClientError;
use crate::WorkerName;
use crate::api::{DrainWorker, WorkerSummary};

impl Client {
    /// Returns all workers, by name.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn workers(&self) -> Result<Vec<WorkerSummary>, ClientError> {
        self.all_pages(&["workers"]).await
    }

    /// Drains a worker: it finishes what it builds, and gets nothing new.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn drain_worker(
        &self,
        name: &WorkerName,
        drain: &DrainWorker,
    ) -> Result<WorkerSummary, ClientError> {
        let segments = ["workers", name.as_str(), "drain"];
        self.json(self.request(Method::POST, &segments).json(drain))
            .await
    }

    /// Lets a drained worker have builds again.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn resume_worker(&self, name: &WorkerName) -> Result<WorkerSummary, ClientError> {
        let segments = ["workers", name.as_str(), "resume"];
        self.json(self.request(Method::POST, &segments)).await
    }
}
