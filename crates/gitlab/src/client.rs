//! The client of one GitLab and one group in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use buildbtw_model::{CommitHash, MergeRequestIid, NoteId, PipelineId, PipelineStatus, ProjectId};

use crate::ci_config::{self, CiConfigPage};
use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::Http;
use crate::lookups::{self, RefNames};
use crate::observer::RequestObserver;
use crate::pipelines::{self, Job, NewPipeline, Pipeline};
use crate::queries::{self, Selection};
use crate::reports::{self, CommitStatus};
use crate::settings::GitlabSettings;
use crate::types::{MergeRequest, ProjectPage, TreeAt};
use crate::{graphql, rest};

/// GitLab's own limit.
const MAX_PAGE_SIZE: u8 = 100;
/// After this many successful responses, a larger page is tried again.
const PAGES_BEFORE_GROWTH: u32 = 10;
/// Each of these scopes suffices for reading.
const READING_SCOPES: &[&str] = &["read_api", "api"];
/// Needed as soon as the settings ask for more than reading.
const WRITING_SCOPES: &[&str] = &["api"];

/// A client of one GitLab group. Cheap to clone.
#[derive(Clone)]
pub struct Gitlab {
    pub(crate) http: Arc<Http>,
    /// The number of projects that a query asks for.
    page_size: Arc<AtomicU8>,
    /// The number of successful responses since the page size last changed.
    pages_since_resize: Arc<AtomicU32>,
}

impl Gitlab {
    /// Creates a client; sends nothing yet.
    ///
    /// # Errors
    /// When a file of the settings cannot be used.
    pub fn new(settings: GitlabSettings) -> anyhow::Result<Self> {
        Ok(Self {
            http: Arc::new(Http::new(settings)?),
            page_size: Arc::new(AtomicU8::new(MAX_PAGE_SIZE)),
            pages_since_resize: Arc::default(),
        })
    }

    /// Sets the observer of all requests of this client and its clones. Only the first one is used.
    pub fn observe(&self, observer: Arc<dyn RequestObserver>) {
        self.http.observe(observer);
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &GitlabSettings {
        self.http.settings()
    }

    /// Reads the token again from its file, and uses it from then on.
    ///
    /// # Errors
    /// When the file cannot be used. The earlier token stays in use then.
    pub fn read_token_again(&self) -> anyhow::Result<()> {
        self.http.read_token_again()
    }

    /// Checks that the token has the access that the settings need, and returns GitLab's version.
    ///
    /// # Errors
    /// When it has not; the error names what is missing.
    pub async fn check_access(&self) -> Result<Option<String>, GitlabError> {
        match rest::token_info(&self.http).await {
            Ok(info) => {
                let needed = self.needed_scopes();
                let has = |scope: &&str| info.scopes.iter().any(|known| known == scope);
                if !info.scopes.is_empty() && !needed.iter().any(has) {
                    return Err(GitlabError {
                        request: "read token info",
                        about: self.settings().group.clone(),
                        request_id: None,
                        kind: GitlabErrorKind::MissingScope {
                            scope: needed.first().copied().unwrap_or_default().to_owned(),
                        },
                    });
                }
                if let Some(day) = &info.expires_at {
                    tracing::info!(expires = day, "the GitLab token has an expiry date");
                }
            }
            // Other kinds of tokens cannot read their own info; the query below fails if they lack access.
            Err(error) if matches!(error.kind, GitlabErrorKind::Status { .. }) => {}
            Err(error) => return Err(error),
        }
        queries::group_access(&self.http).await
    }

    /// Returns the scopes of which the token needs one.
    #[must_use]
    pub fn needed_scopes(&self) -> &'static [&'static str] {
        match self.settings().writes {
            true => WRITING_SCOPES,
            false => READING_SCOPES,
        }
    }

    /// Returns GitLab's response to the introspection query.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn introspect(&self, query: &str) -> Result<serde_json::Value, GitlabError> {
        graphql::introspect(&self.http, query).await
    }

    /// Returns a page of the group's projects, newest activity first.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn projects(&self, selection: &Selection) -> Result<ProjectPage, GitlabError> {
        loop {
            let size = self.page_size.load(Ordering::Relaxed);
            let error = match queries::group_projects(&self.http, selection, size).await {
                Ok(page) => {
                    self.pages_since_resize.fetch_add(1, Ordering::Relaxed);
                    self.restore_page_size();
                    return Ok(page);
                }
                Err(error) => error,
            };
            if size == 1 || !error.kind.may_succeed_if_smaller() {
                return Err(error);
            }
            tracing::warn!(
                error = error.to_string(),
                page.size = size / 2,
                "reducing the number of projects per GitLab query"
            );
            self.page_size.store(size / 2, Ordering::Relaxed);
            self.pages_since_resize.store(0, Ordering::Relaxed);
            // After a timeout the caller decides when to retry with the smaller page.
            if error.kind.is_transient() {
                return Err(error);
            }
        }
    }

    /// Doubles the page size again, because the cause of the large responses may have passed.
    fn restore_page_size(&self) {
        let size = self.page_size.load(Ordering::Relaxed);
        if size < MAX_PAGE_SIZE
            && self.pages_since_resize.load(Ordering::Relaxed) >= PAGES_BEFORE_GROWTH
        {
            let larger = size.saturating_mul(2).min(MAX_PAGE_SIZE);
            self.page_size.store(larger, Ordering::Relaxed);
            self.pages_since_resize.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the projects with these IDs, without those that are not in the group.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn projects_by_id(&self, ids: &[ProjectId]) -> Result<ProjectPage, GitlabError> {
        let error = match self.projects(&Selection::Only(ids.to_vec())).await {
            Ok(page) if page.next.is_none() || ids.len() < 2 => return Ok(page),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // The page size has shrunk, and a selection by ID has no cursor for the rest: halve it.
        if let Some(error) = error
            && (ids.len() < 2 || !error.kind.may_succeed_if_smaller())
        {
            return Err(error);
        }
        let (one, other) = ids.split_at(ids.len() / 2);
        let mut page = Box::pin(self.projects_by_id(one)).await?;
        let rest = Box::pin(self.projects_by_id(other)).await?;
        page.projects.extend(rest.projects);
        page.unidentified += rest.unidentified;
        page.next = page.next.or(rest.next);
        Ok(page)
    }

    /// Returns the number of projects that one page can hold at the moment.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.page_size.load(Ordering::Relaxed).into()
    }

    /// Returns the commit of the first of these names that exists in a project.
    ///
    /// # Errors
    /// When the request fails, or the project is no longer in the group.
    pub async fn resolve_ref(
        &self,
        project: ProjectId,
        about: &str,
        names: RefNames,
    ) -> Result<Option<CommitHash>, GitlabError> {
        lookups::resolve_ref(&self.http, project, about, names).await
    }

    /// Returns the first branches of a project, for messages.
    ///
    /// # Errors
    /// When the request fails, or the project is no longer in the group.
    pub async fn branches(&self, id: ProjectId, about: &str) -> Result<Vec<String>, GitlabError> {
        lookups::branch_names(&self.http, id, about).await
    }

    /// Returns the projects of the group with this name, in one request.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn find_projects(&self, name: &str) -> Result<Vec<ProjectId>, GitlabError> {
        lookups::find_projects(&self.http, name).await
    }

    /// Returns the `.SRCINFO` of a project at a commit; `None` when the commit does not exist.
    ///
    /// # Errors
    /// When the request fails, or the project is no longer in the group.
    pub async fn srcinfo_at(
        &self,
        project: ProjectId,
        about: &str,
        commit: &CommitHash,
    ) -> Result<Option<TreeAt>, GitlabError> {
        lookups::srcinfo_at_commit(&self.http, project, about, commit).await
    }

    /// Creates a pipeline.
    ///
    /// # Errors
    /// When the request fails. Unless [`GitlabErrorKind::had_no_effect`], the pipeline may exist: look it up by its
    /// name before a retry.
    pub async fn create_pipeline(&self, new: &NewPipeline<'_>) -> Result<Pipeline, GitlabError> {
        pipelines::create(&self.http, new).await
    }

    /// Returns the pipelines of a project with this name that were created through the API, oldest first.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pipelines_named(
        &self,
        project: ProjectId,
        about: &str,
        name: &str,
    ) -> Result<Vec<Pipeline>, GitlabError> {
        pipelines::find_by_name(&self.http, project, about, name).await
    }

    /// Returns a pipeline; `None` when it does not exist.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pipeline(
        &self,
        project: ProjectId,
        about: &str,
        id: PipelineId,
    ) -> Result<Option<Pipeline>, GitlabError> {
        pipelines::get(&self.http, project, about, id).await
    }

    /// Returns the jobs of a pipeline, without those that were retried.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn jobs(
        &self,
        project: ProjectId,
        about: &str,
        pipeline: PipelineId,
    ) -> Result<Vec<Job>, GitlabError> {
        pipelines::jobs(&self.http, project, about, pipeline).await
    }

    /// Requests that a pipeline is cancelled; its status shows when it is.
    ///
    /// # Errors
    /// When the request fails, or the token is not allowed to cancel it.
    pub async fn cancel_pipeline(
        &self,
        project: ProjectId,
        about: &str,
        id: PipelineId,
    ) -> Result<(), GitlabError> {
        pipelines::cancel(&self.http, project, about, id).await
    }

    /// Returns the statuses of pipelines that were created through the API: the newest `each` of up to a hundred
    /// projects, in one request.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pipeline_statuses(
        &self,
        projects: &[ProjectId],
        each: usize,
    ) -> Result<HashMap<(ProjectId, PipelineId), PipelineStatus>, GitlabError> {
        queries::pipeline_statuses(&self.http, projects, each).await
    }

    /// Returns a page of the CI configuration paths of the group's projects, without archived ones.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn ci_configs(&self, after: Option<String>) -> Result<CiConfigPage, GitlabError> {
        queries::ci_config_paths(&self.http, after).await
    }

    /// Sets the CI configuration path of a project.
    ///
    /// # Errors
    /// When the request fails, or the token's role is lower than Maintainer there.
    pub async fn set_ci_config(
        &self,
        project: ProjectId,
        about: &str,
        path: &str,
    ) -> Result<(), GitlabError> {
        ci_config::set(&self.http, project, about, path).await
    }

    /// Sets the status of a commit.
    ///
    /// # Errors
    /// When the request fails, or the token is not allowed to set it.
    pub async fn set_commit_status(
        &self,
        project: ProjectId,
        about: &str,
        commit: &CommitHash,
        status: &CommitStatus<'_>,
    ) -> Result<(), GitlabError> {
        reports::set_commit_status(&self.http, project, about, commit, status).await
    }

    /// Returns the open merge requests of a branch.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn merge_requests_of(
        &self,
        project: ProjectId,
        about: &str,
        branch: &str,
    ) -> Result<Vec<MergeRequestIid>, GitlabError> {
        reports::merge_requests_of(&self.http, project, about, branch).await
    }

    /// Returns the note of a merge request that contains `marker`, among the newest hundred.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn find_note(
        &self,
        project: ProjectId,
        about: &str,
        iid: MergeRequestIid,
        marker: &str,
    ) -> Result<Option<NoteId>, GitlabError> {
        reports::find_note(&self.http, project, about, iid, marker).await
    }

    /// Creates a note on a merge request, or replaces the text of `old`. Returns its ID, or `None` when `old` no
    /// longer exists.
    ///
    /// # Errors
    /// When the request fails, or the token is not allowed to write it.
    pub async fn write_note(
        &self,
        project: ProjectId,
        about: &str,
        iid: MergeRequestIid,
        old: Option<NoteId>,
        text: &str,
    ) -> Result<Option<NoteId>, GitlabError> {
        reports::write_note(&self.http, project, about, iid, old, text).await
    }

    /// Returns a merge request of the project at a path.
    ///
    /// # Errors
    /// When the request fails, or the merge request does not exist.
    pub async fn merge_request(
        &self,
        project_path: &str,
        iid: MergeRequestIid,
    ) -> Result<MergeRequest, GitlabError> {
        lookups::merge_request(&self.http, project_path, iid).await
    }
}
