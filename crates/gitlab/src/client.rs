//! The client as a whole: a GitLab and a group in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use buildbtw_model::{CommitHash, MergeRequestIid, NoteId, PipelineId, PipelineStatus, ProjectId};

use crate::ci_config::{self, CiConfigPage};
use crate::error::{GitlabError, GitlabErrorKind};
use crate::http::Http;
use crate::lookups::{self, RefNames};
use crate::pipelines::{self, Job, NewPipeline, Pipeline};
use crate::queries::{self, Selection};
use crate::reports::{self, CommitStatus};
use crate::settings::GitlabSettings;
use crate::types::{MergeRequest, ProjectPage, TreeAt};
use crate::{graphql, rest};

/// GitLab gives no more at once.
const LARGEST_PAGE: u8 = 100;
/// After so many good answers, larger pages are tried again.
const GOOD_PAGES: u32 = 10;
/// Any of these lets the server read what it needs.
const READING_SCOPES: &[&str] = &["read_api", "api"];
/// This lets it do more than that.
const WRITING_SCOPES: &[&str] = &["api"];

/// A GitLab and a group in it. Cheap to clone.
#[derive(Clone)]
pub struct Gitlab {
    pub(crate) http: Arc<Http>,
    /// How many projects GitLab lets a query ask for.
    page_size: Arc<AtomicU8>,
    /// How many answers came since that last changed.
    good_pages: Arc<AtomicU32>,
}

impl Gitlab {
    /// Prepares to talk to a GitLab; sends nothing yet.
    ///
    /// # Errors
    /// When a file of the settings cannot be used.
    pub fn new(settings: GitlabSettings) -> anyhow::Result<Self> {
        Ok(Self {
            http: Arc::new(Http::new(settings)?),
            page_size: Arc::new(AtomicU8::new(LARGEST_PAGE)),
            good_pages: Arc::default(),
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &GitlabSettings {
        self.http.settings()
    }

    /// Checks that the token may do what the settings ask for in the group, and returns GitLab's version.
    ///
    /// # Errors
    /// When it may not, saying what is missing.
    pub async fn check_access(&self) -> Result<Option<String>, GitlabError> {
        match rest::token_info(&self.http).await {
            Ok(info) => {
                let needed = if self.settings().writes {
                    WRITING_SCOPES
                } else {
                    READING_SCOPES
                };
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
            // Tokens of other kinds cannot ask about themselves; the query will tell.
            Err(error) if matches!(error.kind, GitlabErrorKind::Status { .. }) => {}
            Err(error) => return Err(error),
        }
        queries::group_access(&self.http).await
    }

    /// What a GitLab answers to the introspection query.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn introspect(&self, query: &str) -> Result<serde_json::Value, GitlabError> {
        graphql::introspect(&self.http, query).await
    }

    /// A page of the group's projects, newest activity first.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn projects(&self, selection: &Selection) -> Result<ProjectPage, GitlabError> {
        loop {
            let size = self.page_size.load(Ordering::Relaxed);
            let error = match queries::group_projects(&self.http, selection, size).await {
                Ok(page) => {
                    self.good_pages.fetch_add(1, Ordering::Relaxed);
                    self.grow_again();
                    return Ok(page);
                }
                Err(error) => error,
            };
            if size == 1 || !error.kind.is_too_much() {
                return Err(error);
            }
            tracing::warn!(
                error = error.to_string(),
                page.size = size / 2,
                "reducing the number of projects per GitLab query"
            );
            self.page_size.store(size / 2, Ordering::Relaxed);
            self.good_pages.store(0, Ordering::Relaxed);
            // An answer that took too long is asked for again later, not at once.
            if error.kind.is_transient() {
                return Err(error);
            }
        }
    }

    /// Whatever made pages too large may have passed.
    fn grow_again(&self) {
        let size = self.page_size.load(Ordering::Relaxed);
        if size < LARGEST_PAGE && self.good_pages.load(Ordering::Relaxed) >= GOOD_PAGES {
            let larger = size.saturating_mul(2).min(LARGEST_PAGE);
            self.page_size.store(larger, Ordering::Relaxed);
            self.good_pages.store(0, Ordering::Relaxed);
        }
    }

    /// Some projects of the group by their numbers; those that are not in it are not shown.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn some_projects(&self, ids: &[ProjectId]) -> Result<ProjectPage, GitlabError> {
        let error = match self.projects(&Selection::Only(ids.to_vec())).await {
            Ok(page) if page.next.is_none() || ids.len() < 2 => return Ok(page),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // Pages have become smaller, and a selection has no order in which to ask for the rest.
        if let Some(error) = error
            && (ids.len() < 2 || !error.kind.is_too_much())
        {
            return Err(error);
        }
        let (one, other) = ids.split_at(ids.len() / 2);
        let mut page = Box::pin(self.some_projects(one)).await?;
        let rest = Box::pin(self.some_projects(other)).await?;
        page.projects.extend(rest.projects);
        page.nameless += rest.nameless;
        page.next = page.next.or(rest.next);
        Ok(page)
    }

    /// The largest number of projects that one page can hold now.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.page_size.load(Ordering::Relaxed).into()
    }

    /// The commit of the first of these names that a project knows.
    ///
    /// # Errors
    /// When GitLab does not answer, or the project is not in the group any more.
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
    /// When GitLab does not answer, or the project is not in the group any more.
    pub async fn branches(&self, id: ProjectId, about: &str) -> Result<Vec<String>, GitlabError> {
        lookups::branch_names(&self.http, id, about).await
    }

    /// Returns the projects of the group that are called like this, in one request.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn find_projects(&self, name: &str) -> Result<Vec<ProjectId>, GitlabError> {
        lookups::find_projects(&self.http, name).await
    }

    /// What a project's tree holds at a commit; `None` when it has no such commit.
    ///
    /// # Errors
    /// When GitLab does not answer, or the project is not in the group any more.
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
    /// When GitLab refuses, or does not answer. Unless the error certainly had no effect, the pipeline
    /// may exist: look for it by its name.
    pub async fn create_pipeline(&self, new: &NewPipeline<'_>) -> Result<Pipeline, GitlabError> {
        pipelines::create(&self.http, new).await
    }

    /// The pipelines of this name in a project that were created through the API, oldest first.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn pipelines_named(
        &self,
        project: ProjectId,
        about: &str,
        name: &str,
    ) -> Result<Vec<Pipeline>, GitlabError> {
        pipelines::named(&self.http, project, about, name).await
    }

    /// A pipeline; `None` when there is none of this number.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn pipeline(
        &self,
        project: ProjectId,
        about: &str,
        id: PipelineId,
    ) -> Result<Option<Pipeline>, GitlabError> {
        pipelines::one(&self.http, project, about, id).await
    }

    /// The jobs of a pipeline, without those that were retried.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn jobs(
        &self,
        project: ProjectId,
        about: &str,
        pipeline: PipelineId,
    ) -> Result<Vec<Job>, GitlabError> {
        pipelines::jobs(&self.http, project, about, pipeline).await
    }

    /// Asks for the end of a pipeline. Whether it comes shows in its status.
    ///
    /// # Errors
    /// When GitLab does not answer, or the token may not do that.
    pub async fn cancel_pipeline(
        &self,
        project: ProjectId,
        about: &str,
        id: PipelineId,
    ) -> Result<(), GitlabError> {
        pipelines::cancel(&self.http, project, about, id).await
    }

    /// Where the pipelines of up to a hundred projects stand that were created through the API: the
    /// newest `each` of each project. One request.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn pipeline_statuses(
        &self,
        projects: &[ProjectId],
        each: usize,
    ) -> Result<HashMap<(ProjectId, PipelineId), PipelineStatus>, GitlabError> {
        queries::pipeline_statuses(&self.http, projects, each).await
    }

    /// A page of where the group's projects have their CI configuration, archived ones left out.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn ci_configs(&self, after: Option<String>) -> Result<CiConfigPage, GitlabError> {
        queries::ci_config_paths(&self.http, after).await
    }

    /// Tells a project where its CI configuration is.
    ///
    /// # Errors
    /// When GitLab does not answer, or the token's role is lower than Maintainer there.
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
    /// When GitLab does not answer, or the token may not do that.
    pub async fn set_commit_status(
        &self,
        project: ProjectId,
        about: &str,
        commit: &CommitHash,
        status: &CommitStatus<'_>,
    ) -> Result<(), GitlabError> {
        reports::set_commit_status(&self.http, project, about, commit, status).await
    }

    /// The numbers of the open merge requests of a branch.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn merge_requests_of(
        &self,
        project: ProjectId,
        about: &str,
        branch: &str,
    ) -> Result<Vec<MergeRequestIid>, GitlabError> {
        reports::merge_requests_of(&self.http, project, about, branch).await
    }

    /// The note on a merge request that holds `marker`, among the newest ones.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn find_note(
        &self,
        project: ProjectId,
        about: &str,
        iid: MergeRequestIid,
        marker: &str,
    ) -> Result<Option<NoteId>, GitlabError> {
        reports::find_note(&self.http, project, about, iid, marker).await
    }

    /// Writes a note on a merge request, a new one or in place of an old one; returns its number, or
    /// nothing when the old one is gone.
    ///
    /// # Errors
    /// When GitLab does not answer, or the token may not do that.
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

    /// A merge request of a project that is named by its path.
    ///
    /// # Errors
    /// When GitLab does not answer, or there is no such merge request.
    pub async fn merge_request(
        &self,
        project_path: &str,
        iid: MergeRequestIid,
    ) -> Result<MergeRequest, GitlabError> {
        lookups::merge_request(&self.http, project_path, iid).await
    }
}
