//! What is stored about pipelines while they are requested, polled and cancelled, apart from their end.

use buildbtw_model::{AttemptId, PipelineStatus};

use crate::db::pipelines::{self, PipelineRow};
use crate::db::{Database, orphan_pipelines};
use crate::error::Error;
use crate::time::Millis;

/// Stores when GitLab is asked to create a pipeline, or that the request had no effect. Returns false when the
/// pipeline is no longer needed, because its namespace was deleted.
///
/// # Errors
/// When the database cannot be written.
pub async fn store_creation_request(
    database: &Database,
    attempt: AttemptId,
    at: Option<Millis>,
) -> Result<bool, Error> {
    let mut tx = database.write().await?;
    let is_there = pipelines::record_creation_request(&mut tx, attempt, at).await?;
    tx.commit().await?;
    Ok(is_there)
}

/// Stores the new statuses of pipelines.
///
/// # Errors
/// When the database cannot be written.
pub async fn store_statuses(
    database: &Database,
    moved: &[(PipelineRow, PipelineStatus)],
) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let mut tx = database.write().await?;
    for (row, status) in moved {
        pipelines::set_status(&mut tx, row.attempt, *status).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Stores since when a pipeline has run without a job that requested its build.
///
/// # Errors
/// When the database cannot be written.
pub async fn store_running_since(
    database: &Database,
    attempt: AttemptId,
    since: Millis,
) -> Result<(), Error> {
    let mut tx = database.write().await?;
    pipelines::set_running_since(&mut tx, attempt, since).await?;
    tx.commit().await?;
    Ok(())
}

/// Stores that GitLab was asked to cancel a pipeline.
///
/// # Errors
/// When the database cannot be written.
pub async fn store_cancel_sent(database: &Database, attempt: AttemptId) -> Result<(), Error> {
    let mut tx = database.write().await?;
    pipelines::set_cancel_sent(&mut tx, attempt).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes the record of a pipeline whose namespace was deleted, once it is cancelled.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_orphan(database: &Database, attempt: AttemptId) -> Result<(), Error> {
    let mut tx = database.write().await?;
    orphan_pipelines::delete(&mut tx, attempt).await?;
    tx.commit().await?;
    Ok(())
}
