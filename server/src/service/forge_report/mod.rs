//! Reports the progress of a rebuild to the forge, if enabled: a status on every origin commit, and one note on each
//! merge request, which is edited in place.

mod text;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buildbtw_gitlab::{
    CommitState, CommitStatus, Gitlab, GitlabError, GitlabErrorKind, MergeRequestIid, NoteId,
    ProjectId,
};
use buildbtw_model::api::{IterationDetail, OriginSummary};
use sha2::Digest as _;
use tokio::time::Instant;

use crate::config::{Config, ReportKind};
use crate::db::namespaces::NamespaceRow;
use crate::db::{
    Database, IterationId, NamespaceId, forge_reports, iterations, namespaces, source_repositories,
};
use crate::error::Error;
use crate::outage::Failure;
use crate::state::pipelines::Pipelines;

use super::read::iteration::show_iteration;

/// The minimum time between two edits of a note while builds are running.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
/// How long the merge requests of a branch are cached.
const MERGE_REQUESTS_TTL: Duration = Duration::from_secs(60);
/// The prefix of the heads of merge requests from forks, which have no branch here.
const MERGE_REQUEST_PREFIX: &str = "merge-requests/";

/// The open merge requests of a project's branch, and when they were read.
type MergeRequests = HashMap<(ProjectId, String), (Instant, Vec<MergeRequestIid>)>;

/// The destination of reports, and the enabled kinds. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    gitlab: Gitlab,
    kinds: Vec<ReportKind>,
    /// The open merge requests of branches, cached so that not every change of a build requests them.
    known: Arc<Mutex<MergeRequests>>,
}

impl Reporter {
    /// Creates a reporter for a GitLab instance.
    #[must_use]
    pub fn new(gitlab: Gitlab, kinds: Vec<ReportKind>) -> Self {
        Self {
            gitlab,
            kinds,
            known: Arc::default(),
        }
    }

    /// Reports the changes of a namespace. Returns when the next report is due.
    pub(crate) async fn report(
        &self,
        config: &Config,
        database: &Database,
        on_gitlab: Option<&Pipelines>,
        id: NamespaceId,
    ) -> Result<Option<Duration>, Failure> {
        let Some(namespace) = namespaces::by_id(database.read(), id).await? else {
            return Ok(None);
        };
        let Some(iteration) = iterations::newest(database.read(), id).await? else {
            return Ok(None);
        };
        let number = Some(iteration.number);
        let (url, server) = (config.url.as_str(), config.base_url());
        let detail =
            show_iteration(database, on_gitlab, None, &server, &namespace.name, number).await?;
        // A report that fails does not delay the others.
        let mut reported = Ok(());
        if self.kinds.contains(&ReportKind::CommitStatus) {
            let closed = self
                .close_open_commit_statuses(database, url, &namespace)
                .await;
            let commits = self
                .report_commits(database, url, &namespace, iteration.id, &detail)
                .await;
            reported = closed.and(commits);
        }
        let mut later = None;
        if self.kinds.contains(&ReportKind::MergeRequestNote) {
            later = self
                .report_merge_requests(database, url, &namespace, &detail)
                .await?;
        }
        reported.map(|()| later)
    }

    async fn report_commits(
        &self,
        database: &Database,
        url: &str,
        namespace: &NamespaceRow,
        iteration: IterationId,
        detail: &IterationDetail,
    ) -> Result<(), Failure> {
        let word = text::state(detail);
        let mut result = Ok(());
        for origin in &detail.origins {
            let Some((project, path)) = project(database, origin).await? else {
                continue;
            };
            let reader = database.read();
            let reported =
                forge_reports::commit_state(reader, iteration, project, &origin.commit).await?;
            if reported == Some(word) {
                continue;
            }
            let git_ref = origin.changeset.git_ref.as_str();
            let is_name =
                !git_ref.starts_with(MERGE_REQUEST_PREFIX) && git_ref != origin.commit.as_str();
            let status = CommitStatus {
                state: word,
                git_ref: is_name.then_some(git_ref),
                name: &format!("buildbtw/{}", namespace.name),
                target_url: &format!(
                    "{url}/namespaces/{}/iterations/{}",
                    namespace.name, detail.summary.number
                ),
                description: &text::description(detail),
            };
            let set = self
                .gitlab
                .set_commit_status(project, &path, &origin.commit, &status);
            if let Err(error) = ignore_permanent(set.await) {
                result = Err(Failure::Gitlab(error));
                continue;
            }
            let mut tx = database.write().await?;
            forge_reports::put_commit_state(&mut tx, iteration, project, &origin.commit, word)
                .await?;
            tx.commit().await?;
        }
        result
    }

    /// Cancels the statuses of commits whose iterations were superseded.
    async fn close_open_commit_statuses(
        &self,
        database: &Database,
        url: &str,
        namespace: &NamespaceRow,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        for open in forge_reports::open_commit_statuses(database.read(), namespace.id).await? {
            let newest = iterations::newest(database.read(), namespace.id).await?;
            let is_built_on = match &newest {
                Some(newest) => iterations::origins(database.read(), newest.id)
                    .await?
                    .iter()
                    .any(|(_, commit)| *commit == open.commit),
                None => false,
            };
            let project = open.project_id;
            if !is_built_on {
                let status = CommitStatus {
                    state: CommitState::Canceled,
                    git_ref: None,
                    name: &format!("buildbtw/{}", namespace.name),
                    target_url: &format!("{url}/namespaces/{}", namespace.name),
                    description: "superseded by a newer iteration",
                };
                let about = format!("project {project}");
                let set = self
                    .gitlab
                    .set_commit_status(project, &about, &open.commit, &status);
                if let Err(error) = ignore_permanent(set.await) {
                    result = Err(Failure::Gitlab(error));
                    continue;
                }
            }
            let mut tx = database.write().await?;
            let (iteration, commit) = (open.iteration, &open.commit);
            forge_reports::put_commit_state(
                &mut tx,
                iteration,
                open.project_id,
                commit,
                CommitState::Canceled,
            )
            .await?;
            tx.commit().await?;
        }
        result
    }

    async fn report_merge_requests(
        &self,
        database: &Database,
        url: &str,
        namespace: &NamespaceRow,
        detail: &IterationDetail,
    ) -> Result<Option<Duration>, Failure> {
        let text = text::note(&namespace.name, detail, url);
        let digest = sha2::Sha256::digest(text.as_bytes());
        let mut later = None;
        for origin in &detail.origins {
            let Some((project, path)) = project(database, origin).await? else {
                continue;
            };
            for iid in self
                .merge_requests(database, project, &path, origin)
                .await?
            {
                let reader = database.read();
                let sent = forge_reports::note(reader, namespace.id, project, iid).await?;
                if let Some(sent) = &sent {
                    if sent.digest == digest.as_slice() {
                        continue;
                    }
                    let wait = (sent.sent_at + NOTE_INTERVAL).since(database.clock().now());
                    if !wait.is_zero() && !detail.summary.status.is_final() {
                        later = Some(wait);
                        continue;
                    }
                }
                let old = sent.map(|sent| sent.note_id);
                let note = self
                    .write_note(project, &path, iid, old, &namespace.name, &text)
                    .await?;
                let Some(note) = note else {
                    continue;
                };
                let mut tx = database.write().await?;
                forge_reports::put_note(&mut tx, namespace.id, project, iid, note, &digest).await?;
                tx.commit().await?;
            }
        }
        Ok(later)
    }

    async fn write_note(
        &self,
        project: ProjectId,
        path: &str,
        iid: MergeRequestIid,
        known: Option<NoteId>,
        namespace: &buildbtw_model::NamespaceName,
        text: &str,
    ) -> Result<Option<NoteId>, GitlabError> {
        let old = match known {
            Some(known) => Some(known),
            // A note exists even if the response to its creation was lost.
            None => {
                let marker = text::marker(namespace);
                self.gitlab.find_note(project, path, iid, &marker).await?
            }
        };
        if let Some(note) = self
            .gitlab
            .write_note(project, path, iid, old, text)
            .await?
        {
            return Ok(Some(note));
        }
        // The note was deleted in GitLab.
        self.gitlab.write_note(project, path, iid, None, text).await
    }

    /// Returns the open merge requests of an origin's ref.
    async fn merge_requests(
        &self,
        database: &Database,
        project: ProjectId,
        path: &str,
        origin: &OriginSummary,
    ) -> Result<Vec<MergeRequestIid>, Failure> {
        let git_ref = origin.changeset.git_ref.as_str();
        if let Some(rest) = git_ref.strip_prefix(MERGE_REQUEST_PREFIX) {
            let number = rest
                .split('/')
                .next()
                .and_then(|number| number.parse().ok());
            return Ok(number.into_iter().collect());
        }
        let reader = database.read();
        let repository = source_repositories::usable(reader, &origin.changeset.pkgbase).await?;
        // The default branch has no merge requests, so requests for them would be a waste.
        if repository.is_some_and(|row| row.branch.as_deref() == Some(git_ref)) {
            return Ok(Vec::new());
        }
        let key = (project, git_ref.to_owned());
        if let Some((at, found)) = self.known().get(&key)
            && at.elapsed() < MERGE_REQUESTS_TTL
        {
            return Ok(found.clone());
        }
        let found = self.gitlab.merge_requests_of(project, path, git_ref);
        let found = found.await?;
        let mut known = self.known();
        known.retain(|_, (at, _)| at.elapsed() < MERGE_REQUESTS_TTL);
        known.insert(key, (Instant::now(), found.clone()));
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, MergeRequests> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the namespaces whose progress is reported.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn reported_namespaces(database: &Database) -> sqlx::Result<Vec<NamespaceId>> {
    let all = namespaces::all(database.read()).await?;
    Ok(all.into_iter().map(|namespace| namespace.id).collect())
}

/// Ignores the permanent rejection of a status, for example of a commit that no longer exists.
fn ignore_permanent(set: Result<(), GitlabError>) -> Result<(), GitlabError> {
    match set {
        Err(error) if is_retryable(&error) => Err(error),
        Err(error) => {
            tracing::warn!(
                error = error.to_string(),
                "GitLab rejected the status of a commit"
            );
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Returns whether a report should be retried. GitLab responds with 409 to concurrent statuses of one commit.
pub(crate) fn is_retryable(error: &GitlabError) -> bool {
    error.kind.is_transient()
        || error.kind.is_of_token()
        || matches!(error.kind, GitlabErrorKind::Status { status: 409, .. })
}

/// Returns the project of an origin, and its path.
async fn project(
    database: &Database,
    origin: &OriginSummary,
) -> Result<Option<(ProjectId, String)>, Error> {
    let reader = database.read();
    let row = source_repositories::usable(reader, &origin.changeset.pkgbase).await?;
    Ok(row.and_then(|row| Some((row.project_id?, row.path))))
}
