//! Tables `commit_report` and `merge_request_report`: the last reports to GitLab.

use buildbtw_gitlab::CommitState;
use buildbtw_model::{CommitHash, MergeRequestIid, NoteId, ProjectId};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{IterationId, NamespaceId, WriteTransaction};

/// Returns the state that was last reported for a commit.
pub async fn commit_state(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
    project_id: ProjectId,
    commit: &CommitHash,
) -> sqlx::Result<Option<CommitState>> {
    sqlx::query_scalar!(
        r#"select state as "state: CommitState" from commit_report
           where iteration_id = ? and project_id = ? and commit_hash = ?"#,
        iteration,
        project_id,
        commit,
    )
    .fetch_optional(executor)
    .await
}

/// Records the state that was reported for a commit.
pub async fn put_commit_state(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    project_id: ProjectId,
    commit: &CommitHash,
    state: CommitState,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into commit_report (iteration_id, project_id, commit_hash, state)
         values (?, ?, ?, ?)
         on conflict (iteration_id, project_id, commit_hash) do update set state = excluded.state",
        iteration,
        project_id,
        commit,
        state,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A commit that GitLab shows as pending or running, although its iteration was superseded.
#[derive(Clone, Debug)]
pub struct OpenCommit {
    /// The iteration.
    pub iteration: IterationId,
    /// The project in GitLab.
    pub project_id: ProjectId,
    /// The commit.
    pub commit: CommitHash,
}

/// Returns the commits of superseded iterations of a namespace that GitLab still shows as pending or running.
pub async fn open_commit_statuses(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
) -> sqlx::Result<Vec<OpenCommit>> {
    sqlx::query_as!(
        OpenCommit,
        r#"select iteration_id as "iteration: IterationId",
           project_id as "project_id: ProjectId", commit_hash as "commit: CommitHash"
           from commit_report join iteration on iteration.id = iteration_id
           where iteration.namespace_id = ? and iteration.superseded_by is not null
               and state in ('pending', 'running')"#,
        namespace,
    )
    .fetch_all(executor)
    .await
}

/// A note on a merge request.
#[derive(Clone, Debug)]
pub struct NoteRow {
    /// Its id in GitLab.
    pub note_id: NoteId,
    /// The digest of its text.
    pub digest: Vec<u8>,
    /// When it was last written.
    pub sent_at: Millis,
}

/// Returns the note of a namespace on a merge request.
pub async fn note(
    executor: impl SqliteExecutor<'_>,
    namespace: NamespaceId,
    project_id: ProjectId,
    iid: MergeRequestIid,
) -> sqlx::Result<Option<NoteRow>> {
    sqlx::query_as!(
        NoteRow,
        r#"select note_id as "note_id: NoteId", digest, sent_at as "sent_at: Millis" from merge_request_report
           where namespace_id = ? and project_id = ? and iid = ?"#,
        namespace,
        project_id,
        iid,
    )
    .fetch_optional(executor)
    .await
}

/// Records the note that was written on a merge request.
pub async fn put_note(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
    project_id: ProjectId,
    iid: MergeRequestIid,
    note_id: NoteId,
    digest: &[u8],
) -> sqlx::Result<()> {
    let sent_at = tx.now();
    sqlx::query!(
        "insert into merge_request_report (namespace_id, project_id, iid, note_id, digest, sent_at)
         values (?, ?, ?, ?, ?, ?)
         on conflict (namespace_id, project_id, iid) do update set note_id = excluded.note_id,
             digest = excluded.digest, sent_at = excluded.sent_at",
        namespace,
        project_id,
        iid,
        note_id,
        digest,
        sent_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
