//! The GitLab group whose projects are the sources.

use std::time::Duration;

use buildbtw_gitlab::{CloneBy, Gitlab, GitlabErrorKind, MergeRequestState, ProjectId, RefNames};
use buildbtw_model::{CommitHash, GitRef, MergeRequestUrl, Pkgbase};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::Error;
use crate::sources::kind::{FoundMergeRequest, Place, ReadError, SourceKind, TreeAtCommit};
use crate::sources::refusals;

use super::{paths, project};

/// A watched group.
pub(crate) struct GitlabGroup {
    pub(crate) gitlab: Gitlab,
    /// The time between full resyncs.
    resync_interval: Duration,
}

impl GitlabGroup {
    /// Creates the source for a group.
    pub(crate) fn new(gitlab: Gitlab, resync_interval: Duration) -> Self {
        Self {
            gitlab,
            resync_interval,
        }
    }

    /// Returns the time between full resyncs.
    pub(crate) fn resync_interval(&self) -> Duration {
        self.resync_interval
    }

    /// Returns the path of the group.
    pub(crate) fn path(&self) -> &str {
        &self.gitlab.settings().group
    }
}

impl SourceKind for GitlabGroup {
    fn origin(&self) -> String {
        let settings = self.gitlab.settings();
        let url = settings.url.as_str().trim_end_matches('/');
        format!("group {} of {url}", settings.group)
    }

    fn title(&self) -> String {
        self.origin()
    }

    fn clone_url(&self, place: Place<'_>) -> String {
        let settings = self.gitlab.settings();
        let url = match settings.clone_by {
            CloneBy::Https => place.http_url,
            CloneBy::Ssh => place.ssh_url,
        };
        url.map_or_else(
            || {
                let base = settings.url.as_str().trim_end_matches('/');
                format!("{base}/{}/{}.git", settings.group, place.path)
            },
            str::to_owned,
        )
    }

    fn name_problem(&self, path: &str, pkgbase: &Pkgbase) -> Option<SourceProblem> {
        project::name_problem(path, pkgbase)
    }

    fn expected_name(&self, pkgbase: &Pkgbase) -> String {
        paths::project_path(pkgbase)
    }

    fn read_commit<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<CommitHash, ReadError>> {
        async move {
            let project = project_of(repository)?;
            let names = ref_names(git_ref);
            let found = self.gitlab.resolve_ref(project, &repository.path, names);
            found.await?.ok_or(ReadError::UnknownRef)
        }
        .boxed()
    }

    fn read_ref<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<TreeAtCommit, ReadError>> {
        async move {
            let project = project_of(repository)?;
            let about = &repository.path;
            let commit = self.read_commit(repository, git_ref).await?;
            // Read by commit, because a branch may move between two requests.
            let tree = self.gitlab.srcinfo_at(project, about, &commit).await?;
            tree.map(project::tree_at_commit)
                .ok_or(ReadError::UnknownRef)
        }
        .boxed()
    }

    fn branches<'a>(&'a self, repository: &'a SourceRepositoryRow) -> BoxFuture<'a, Vec<String>> {
        async move {
            let Ok(project) = project_of(repository) else {
                return Vec::new();
            };
            let found = self.gitlab.branches(project, &repository.path).await;
            found.unwrap_or_default()
        }
        .boxed()
    }

    fn merge_request<'a>(
        &'a self,
        url: &'a MergeRequestUrl,
    ) -> BoxFuture<'a, Result<FoundMergeRequest, Error>> {
        self.find_merge_request(url).boxed()
    }
}

pub(super) fn project_of(repository: &SourceRepositoryRow) -> Result<ProjectId, ReadError> {
    repository
        .project_id
        .ok_or_else(|| ReadError::Broken("it has no project ID".to_owned()))
}

/// Returns the names to look up: a branch, a tag, and then a commit or the head of a merge request.
fn ref_names(git_ref: &GitRef) -> RefNames {
    let text = git_ref.as_str();
    let is_commit = (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let other = if is_commit {
        Some(text.to_owned())
    } else {
        // GitLab keeps the heads of merge requests in the target project, also those from forks.
        text.starts_with(MERGE_REQUESTS)
            .then(|| format!("refs/{text}"))
    };
    RefNames {
        branch: format!("refs/heads/{text}"),
        tag: format!("refs/tags/{text}"),
        other,
    }
}

/// The prefix of the heads of merge requests.
pub(super) const MERGE_REQUESTS: &str = "merge-requests/";

impl GitlabGroup {
    async fn find_merge_request(&self, url: &MergeRequestUrl) -> Result<FoundMergeRequest, Error> {
        let gitlab = self.gitlab.settings().url.as_str();
        let Some((path, number)) = url.project_on(gitlab) else {
            return Err(refusals::other_gitlab(url, &self.title()));
        };
        let found = match self.gitlab.merge_request(path, number).await {
            Ok(found) => found,
            Err(error) if matches!(error.kind, GitlabErrorKind::NotFound(_)) => {
                return Err(refusals::unknown_merge_request(url));
            }
            Err(error) => return Err(refusals::unavailable(&error)),
        };
        Ok(FoundMergeRequest {
            project: found.project,
            path: path.to_owned(),
            not_open: match found.state {
                MergeRequestState::NotOpen(state) => Some(state),
                MergeRequestState::Open => None,
            },
            ref_name: if found.same_project {
                found.source_branch
            } else {
                format!("{MERGE_REQUESTS}{number}/head")
            },
        })
    }
}
