//! `/namespaces`.

use reqwest::Method;

use super::builds::BuildQuery;
use super::error::ClientError;
use super::events::{EventFilter, EventStream};
use super::{Client, REQUEST_TIMEOUT};
use crate::api::{
    CreateIteration, CreateNamespace, EditNamespace, IterationDetail, IterationOverview,
    NamespaceDetail, NamespaceSummary, PlanPreview, RetriedBuilds, RetryBuilds, SetPriority,
};
use crate::{EventId, NamespaceName};

impl Client {
    /// Creates a namespace and plans its first iteration.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn create_namespace(
        &self,
        namespace: &CreateNamespace,
    ) -> Result<NamespaceDetail, ClientError> {
        self.json(self.request(Method::POST, &["namespaces"]).json(namespace))
            .await
    }

    /// Plans a rebuild without starting it, and returns the plan in the requested format.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn preview_plan(&self, preview: &PlanPreview) -> Result<String, ClientError> {
        let request = self
            .request(Method::POST, &["plans"])
            .timeout(REQUEST_TIMEOUT)
            .json(preview);
        let response = self.send(request).await?;
        let text = response.text().await;
        text.map_err(|source| ClientError::connection(self.server(), &source))
    }

    /// Creates a new iteration of a namespace.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn create_iteration(
        &self,
        name: &NamespaceName,
        iteration: CreateIteration,
    ) -> Result<IterationDetail, ClientError> {
        let segments = ["namespaces", name.as_str(), "iterations"];
        let request = self.request(Method::POST, &segments).json(&iteration);
        self.with_builds(name, self.json(request).await?).await
    }

    /// Cancels the builds of a namespace and holds it.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn cancel(&self, name: &NamespaceName) -> Result<NamespaceDetail, ClientError> {
        let segments = ["namespaces", name.as_str(), "cancel"];
        self.json(self.request(Method::POST, &segments)).await
    }

    /// Resumes a cancelled namespace.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn resume(&self, name: &NamespaceName) -> Result<NamespaceDetail, ClientError> {
        let segments = ["namespaces", name.as_str(), "resume"];
        self.json(self.request(Method::POST, &segments)).await
    }

    /// Retries failed builds.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn retry_builds(
        &self,
        name: &NamespaceName,
        builds: &RetryBuilds,
    ) -> Result<RetriedBuilds, ClientError> {
        let segments = ["namespaces", name.as_str(), "retry"];
        self.json(self.request(Method::POST, &segments).json(builds))
            .await
    }

    /// Changes what a namespace rebuilds.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn edit_namespace(
        &self,
        name: &NamespaceName,
        edit: &EditNamespace,
    ) -> Result<NamespaceDetail, ClientError> {
        let request = self.request(Method::PATCH, &["namespaces", name.as_str()]);
        self.json(request.json(edit)).await
    }

    /// Changes the priority of a namespace.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn set_priority(
        &self,
        name: &NamespaceName,
        priority: &SetPriority,
    ) -> Result<NamespaceDetail, ClientError> {
        let segments = ["namespaces", name.as_str(), "priority"];
        self.json(self.request(Method::PUT, &segments).json(priority))
            .await
    }

    /// Removes a namespace with its repositories and logs.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn delete_namespace(&self, name: &NamespaceName) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &["namespaces", name.as_str()]);
        self.send(request.timeout(REQUEST_TIMEOUT)).await?;
        Ok(())
    }

    /// Returns all namespaces, the newest first.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceSummary>, ClientError> {
        self.namespaces_of(None).await
    }

    /// Returns the namespaces that were created with tokens of a name, the newest first; all without one.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn namespaces_of(
        &self,
        created_by: Option<&str>,
    ) -> Result<Vec<NamespaceSummary>, ClientError> {
        let query: Vec<(&str, &str)> = created_by
            .map(|name| ("created_by", name))
            .into_iter()
            .collect();
        self.entries(&["namespaces"], &query, None).await
    }

    /// Returns a namespace.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn namespace(&self, name: &NamespaceName) -> Result<NamespaceDetail, ClientError> {
        self.json(self.request(Method::GET, &["namespaces", name.as_str()]))
            .await
    }

    /// Returns an iteration of a namespace without its builds; the newest one if no number is given.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn iteration_overview(
        &self,
        name: &NamespaceName,
        number: Option<u32>,
    ) -> Result<IterationOverview, ClientError> {
        let number = number.map_or("current".to_owned(), |number| number.to_string());
        let segments = ["namespaces", name.as_str(), "iterations", &number];
        self.json(self.request(Method::GET, &segments)).await
    }

    /// Returns an iteration of a namespace with its builds; the newest one if no number is given.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn iteration(
        &self,
        name: &NamespaceName,
        number: Option<u32>,
    ) -> Result<IterationDetail, ClientError> {
        let overview = self.iteration_overview(name, number).await?;
        self.with_builds(name, overview).await
    }

    /// Adds the builds of an iteration, which are sent in pages.
    async fn with_builds(
        &self,
        name: &NamespaceName,
        iteration: IterationOverview,
    ) -> Result<IterationDetail, ClientError> {
        // By number: `current` may be another iteration by now.
        let (number, all) = (iteration.summary.number, BuildQuery::default());
        let builds = self.builds(name, number, &all, None).await?;
        Ok(iteration.with_builds(builds))
    }

    /// Streams the events of all namespaces from now on, or after the event with the number `after`.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn all_events(
        &self,
        filter: &EventFilter,
        after: Option<EventId>,
    ) -> Result<EventStream, ClientError> {
        let mut request = self.request(Method::GET, &["events"]).query(filter);
        if let Some(after) = after {
            request = request.header("last-event-id", after.0);
        }
        let response = self.send(request).await?;
        Ok(EventStream::new(self.server().to_owned(), response))
    }

    /// Streams the events of a namespace from now on, or after the event with the number `after`.
    ///
    /// # Errors
    /// Fails when the server cannot be reached or rejects the request.
    pub async fn events(
        &self,
        name: &NamespaceName,
        after: Option<EventId>,
    ) -> Result<EventStream, ClientError> {
        let mut request = self.request(Method::GET, &["namespaces", name.as_str(), "events"]);
        if let Some(after) = after {
            request = request.header("last-event-id", after.0);
        }
        let response = self.send(request).await?;
        Ok(EventStream::new(self.server().to_owned(), response))
    }
}
