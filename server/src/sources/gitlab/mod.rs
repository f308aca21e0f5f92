//! The GitLab source: every project of a group, subgroups included. The index is read through
//! GraphQL; nothing is cloned here.

mod deliveries;
mod paths;
mod poll;
mod project;
mod walk;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Changeset, CommitHash, GitRef, MergeRequestUrl, Pkgbase};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::{Error, Refusal};
use buildbtw_gitlab::{CloneBy, Gitlab, GitlabErrorKind, MergeRequestState, ProjectId, RefNames};

use super::catch_up::Wanted;
use super::kind::{Place, ReadError, SourceKind, TreeAtCommit};
use super::{Freshness, Sources, refusals, store};

use poll::Window;
use watch::WatchError;

/// A watched group.
pub(crate) struct GitlabGroup {
    gitlab: Gitlab,
    /// The time between full looks.
    sweep: Duration,
}

impl GitlabGroup {
    /// Watches a group, and looks at everything in it every so often.
    pub(crate) fn new(gitlab: Gitlab, sweep: Duration) -> Self {
        Self { gitlab, sweep }
    }

    fn group(&self) -> &str {
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
        let told = match settings.clone_by {
            CloneBy::Https => place.http_url,
            CloneBy::Ssh => place.ssh_url,
        };
        told.map_or_else(
            || {
                let base = settings.url.as_str().trim_end_matches('/');
                format!("{base}/{}/{}.git", settings.group, place.path)
            },
            str::to_owned,
        )
    }

    fn misnamed(&self, path: &str, pkgbase: &Pkgbase) -> Option<String> {
        project::misnamed(path, pkgbase)
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
            // Asked for by commit: a branch may move between two requests.
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
        sources: &'a Sources,
        url: &'a MergeRequestUrl,
    ) -> BoxFuture<'a, Result<Changeset, Error>> {
        self.merge_request_changeset(sources, url).boxed()
    }

    fn watch(
        self: Arc<Self>,
        sources: Sources,
        ready: oneshot::Sender<()>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Error>> {
        watch::watch(self, sources, ready, cancel).boxed()
    }
}

fn project_of(repository: &SourceRepositoryRow) -> Result<ProjectId, ReadError> {
    let id = repository.project_id.and_then(|id| u64::try_from(id).ok());
    id.map(ProjectId)
        .ok_or_else(|| ReadError::Broken("it has no project number".to_owned()))
}

/// What to look for: a branch, a tag, and then a commit or the head of a merge request.
fn ref_names(git_ref: &GitRef) -> RefNames {
    let text = git_ref.as_str();
    let is_commit = (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let other = if is_commit {
        Some(text.to_owned())
    } else {
        // GitLab keeps the heads of merge requests in the project they go to, forks' too.
        text.starts_with(MERGE_REQUESTS)
            .then(|| format!("refs/{text}"))
    };
    RefNames {
        branch: format!("refs/heads/{text}"),
        tag: format!("refs/tags/{text}"),
        other,
    }
}

const MERGE_REQUESTS: &str = "merge-requests/";
/// How many names that nobody knows are looked for at once.
const MOST_SEARCHED: usize = 20;

impl GitlabGroup {
    /// The changeset of a merge request: its branch, or its head where that comes from a fork.
    async fn merge_request_changeset(
        &self,
        sources: &Sources,
        url: &MergeRequestUrl,
    ) -> Result<Changeset, Error> {
        let gitlab = self.gitlab.settings().url.as_str();
        let Some((path, number)) = url.below(gitlab) else {
            let title = format!("{url} is not an address of this server's GitLab");
            return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                .hint(format!("it watches {}", self.title()))
                .into());
        };
        let found = match self.gitlab.merge_request(path, number).await {
            Ok(found) => found,
            Err(error) if matches!(error.kind, GitlabErrorKind::NotFound(_)) => {
                let title = format!("there is no merge request {url}");
                return Err(Refusal::new(ProblemKind::UnknownRef, title)
                    .hint("or the server's token may not see it")
                    .into());
            }
            Err(error) => return Err(refusals::unavailable(&error)),
        };
        let (row, freshness) = self.row_of(sources, found.project).await?;
        let Some(row) = row else {
            if let Some(reason) = freshness.reason() {
                let title = format!("{path} is not known as a package repository");
                return Err(refusals::stale(&title, reason));
            }
            let title = format!("{path} is not a package repository of this server");
            return Err(Refusal::new(ProblemKind::UnknownPkgbase, title)
                .hint(format!("it watches {}", self.title()))
                .into());
        };
        if let MergeRequestState::Over(state) = found.state {
            let branch = row.branch.as_deref().unwrap_or("main");
            let name = row
                .pkgbase
                .as_ref()
                .map_or(row.path.as_str(), |base| base.as_str());
            let title = format!("the merge request {url} is {state}");
            return Err(Refusal::new(ProblemKind::Conflict, title)
                .hint(format!("what was merged is in {name}/{branch}"))
                .into());
        }
        let name = if found.same_project {
            found.source_branch
        } else {
            format!("{MERGE_REQUESTS}{number}/head")
        };
        let git_ref: GitRef = name.parse().map_err(|error| {
            Refusal::new(
                ProblemKind::InvalidRequest,
                format!("the merge request's branch cannot be named: {error}"),
            )
        })?;
        let pkgbase = match row.pkgbase.clone().filter(|_| row.problem.is_none()) {
            Some(pkgbase) => pkgbase,
            // The first merge request of a package may come before the package.
            None => self.pkgbase_at(sources, &row, &git_ref).await?,
        };
        Ok(Changeset { pkgbase, git_ref })
    }

    /// What is known of a project; one that is not known or not usable is read again.
    async fn row_of(
        &self,
        sources: &Sources,
        project: ProjectId,
    ) -> Result<(Option<SourceRepositoryRow>, Freshness), Error> {
        let id = poll::row_id(project);
        let known = source_repositories::of_project(sources.database.read(), id).await?;
        if known.as_ref().is_some_and(|row| row.problem.is_none()) {
            return Ok((known, Freshness::Current));
        }
        let freshness = sources.catch_up_with([Wanted::Project(id)]).await;
        let found = source_repositories::of_project(sources.database.read(), id).await?;
        Ok((found, freshness))
    }

    /// The package that a ref holds in a repository whose default branch holds none.
    async fn pkgbase_at(
        &self,
        sources: &Sources,
        row: &SourceRepositoryRow,
        git_ref: &GitRef,
    ) -> Result<Pkgbase, Error> {
        let tree = match self.read_ref(row, git_ref).await {
            Ok(tree) => tree,
            Err(ReadError::Gitlab(error)) => return Err(refusals::unavailable(&error)),
            Err(_) => return Err(refusals::broken(row)),
        };
        let found = store::parse(&tree, None).ok();
        let pkgbase = found.map(|package| package.pkgbase().clone());
        pkgbase
            .filter(|pkgbase| sources.may_be_of(row, pkgbase))
            .ok_or_else(|| refusals::broken(row))
    }

    /// Reads projects again that somebody waits for, unless the last poll has found them usable.
    async fn read_wanted(
        &self,
        sources: &Sources,
        window: &mut Window,
        wanted: &BTreeSet<Wanted>,
    ) -> Result<(), WatchError> {
        let mut ids = BTreeSet::new();
        let mut searched = 0;
        for wanted in wanted {
            match wanted {
                Wanted::Project(id) => ids.extend(u64::try_from(*id).ok().map(ProjectId)),
                Wanted::Pkgbase(pkgbase) => {
                    let reader = sources.database.read();
                    let usable = source_repositories::usable(reader, pkgbase).await;
                    if usable.map_err(Error::from)?.is_some() {
                        continue;
                    }
                    let name = paths::project_path(pkgbase);
                    let broken = source_repositories::broken_like(reader, pkgbase, &name).await;
                    let broken = broken.map_err(Error::from)?;
                    match broken.and_then(|row| project_of(&row).ok()) {
                        Some(id) => ids.extend([id]),
                        None if searched < MOST_SEARCHED => {
                            searched += 1;
                            ids.extend(self.gitlab.find_projects(&name).await?);
                        }
                        None => {}
                    }
                }
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        self.ask_about(sources, window, &ids).await?;
        self.tell_touched(sources, &ids).await
    }
}

/// Milliseconds of GitLab's clock, as the database keeps times.
fn millis(time: jiff::Timestamp) -> i64 {
    time.as_millisecond()
}
