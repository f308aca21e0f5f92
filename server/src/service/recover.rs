//! Recovery at the start of the server, after a shutdown or a crash.

use buildbtw_model::{AttemptId, AttemptStatus};
use sqlx::SqlitePool;

use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::state::AppState;

use super::delete::remove_orphans;
use super::expire_leases::renew_leases;

/// Resumes the work of the last run: workers get a full lease to reconnect. The actors find the rest when they start.
///
/// # Errors
/// When the database cannot be used.
pub async fn recover(state: &AppState) -> Result<(), Error> {
    requeue_unfollowed(state).await?;
    let running = renew_leases(state).await?;
    let unpublished = builds::unpublished(state.database.read()).await?;
    if running > 0 || !unpublished.is_empty() {
        tracing::info!(
            attempts.running = running,
            builds.unpublished = unpublished.len(),
            "resuming after a restart"
        );
    }
    state.repos.empty_staging()?;
    remove_stale_uploads(state).await?;
    remove_orphans(state).await?;
    Ok(())
}

/// Requeues builds whose pipelines are no longer followed, because builds on GitLab were disabled, or because it is
/// another GitLab with other ids.
async fn requeue_unfollowed(state: &AppState) -> Result<(), Error> {
    let mut tx = state.database.write().await?;
    if let Some(on_gitlab) = &state.pipelines {
        pipelines::stop_following_other_gitlabs(&mut tx, on_gitlab.gitlab.settings().url.as_str())
            .await?;
    }
    let lease = state.clock.now() + state.config.lease;
    let all = state.pipelines.is_none();
    let released = attempts::end_unlimited_leases(&mut tx, lease, all).await?;
    tx.commit().await?;
    if released > 0 {
        tracing::warn!(
            attempts.released = released,
            "some pipelines are no longer followed; their builds are requeued"
        );
    }
    Ok(())
}

/// Removes uploads that are no longer needed.
async fn remove_stale_uploads(state: &AppState) -> Result<(), Error> {
    for attempt in state.repos.uploading()? {
        if !may_upload(state.database.read(), attempt).await? {
            fs_err::tokio::remove_dir_all(state.repos.uploads(attempt)).await?;
        }
    }
    Ok(())
}

/// Returns whether an attempt may still have uploads: it has not ended, or its packages were accepted and are not in
/// their repository yet.
///
/// # Errors
/// When the database cannot be read.
pub async fn may_upload(reader: &SqlitePool, attempt: AttemptId) -> sqlx::Result<bool> {
    let Some(row) = attempts::by_id(reader, attempt).await? else {
        return Ok(false);
    };
    Ok(match row.status {
        AttemptStatus::Queued | AttemptStatus::Running => true,
        AttemptStatus::Succeeded => builds::by_id(reader, row.build)
            .await?
            .is_some_and(|build| !build.status.has_packages()),
        AttemptStatus::Failed | AttemptStatus::Lost => false,
    })
}
