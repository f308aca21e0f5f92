//! Stores pipelines that are to be created in GitLab.

use buildbtw_model::{AttemptId, CommitHash, ProjectId};

use crate::db::{WriteTransaction, json_list};

use super::set_ended;

/// A pipeline that is to be created.
#[derive(Clone, Debug, serde::Serialize)]
pub struct NewPipeline {
    /// The attempt that it runs.
    pub attempt: AttemptId,
    /// The URL of the GitLab instance.
    pub gitlab: String,
    /// The project in GitLab.
    pub project_id: ProjectId,
    /// The branch or tag to run on.
    pub git_ref: String,
    /// The commit that has to be its head.
    pub commit: CommitHash,
}

/// Stores pipelines that are to be created.
pub async fn insert(tx: &mut WriteTransaction, new: &[NewPipeline]) -> sqlx::Result<()> {
    let new = json_list(new)?;
    sqlx::query!(
        "insert into pipeline (attempt_id, gitlab, project_id, git_ref, commit_hash)
         select value ->> 'attempt', value ->> 'gitlab', value ->> 'project_id',
             value ->> 'git_ref', value ->> 'commit'
         from json_each(?)",
        new,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Copies the pipeline of an earlier attempt to another attempt, which runs in it from now on.
pub async fn copy_to_attempt(
    tx: &mut WriteTransaction,
    attempt: AttemptId,
    earlier: AttemptId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into pipeline
             (attempt_id, gitlab, project_id, git_ref, commit_hash, requested_at, pipeline_id, url,
             status)
         select ?, gitlab, project_id, git_ref, commit_hash, requested_at, pipeline_id, url, 'running'
         from pipeline where attempt_id = ?",
        attempt,
        earlier,
    )
    .execute(tx.connection())
    .await?;
    set_ended(tx, earlier).await
}
