//! Table `orphan_pipeline`: pipelines whose attempts were removed, until they are cancelled in GitLab.

use buildbtw_model::{AttemptId, PipelineId, ProjectId};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// A pipeline whose attempt was removed.
#[derive(Clone, Debug)]
pub struct OrphanRow {
    /// The removed attempt.
    pub attempt: AttemptId,
    /// The project in GitLab.
    pub project_id: ProjectId,
    /// Its id in GitLab, if it was known.
    pub pipeline_id: Option<PipelineId>,
    /// When GitLab was last asked to create it.
    pub requested_at: Millis,
}

/// Returns up to `limit` pipelines whose attempts were removed, and that may still run.
pub async fn oldest(executor: impl SqliteExecutor<'_>, limit: i64) -> sqlx::Result<Vec<OrphanRow>> {
    sqlx::query_as!(
        OrphanRow,
        r#"select attempt_id as "attempt: AttemptId", project_id as "project_id: ProjectId",
           pipeline_id as "pipeline_id: PipelineId", requested_at as "requested_at: Millis"
           from orphan_pipeline order by requested_at limit ?"#,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// Deletes an orphan that was cancelled, or never created.
pub async fn delete(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    sqlx::query!("delete from orphan_pipeline where attempt_id = ?", attempt)
        .execute(tx.connection())
        .await?;
    Ok(())
}
