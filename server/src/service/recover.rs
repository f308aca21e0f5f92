//! What the server does first after it was stopped, however it was stopped.

use buildbtw_model::AttemptStatus;

use crate::app_state::AppState;
use crate::db::{attempts, builds, now};
use crate::error::Error;

use super::delete::remove_orphans;

/// Continues where the last run stopped: workers get a full lease to find the server again, and
/// packages whose outcome was accepted are published.
///
/// # Errors
/// When the database cannot be used.
pub async fn recover(state: &AppState) -> Result<(), Error> {
    let lease = i64::try_from(state.config.lease.as_millis()).unwrap_or(i64::MAX / 2);
    let mut tx = state.database.write().await?;
    let running = attempts::renew_all_leases(&mut tx, now() + lease).await?;
    tx.commit().await?;
    let unpublished = builds::unpublished(state.database.read()).await?;
    if running > 0 || !unpublished.is_empty() {
        tracing::info!(
            attempts.running = running,
            builds.unpublished = unpublished.len(),
            "continuing where the last run stopped"
        );
    }
    for build in unpublished {
        state.publisher.enqueue(build.id);
    }
    remove_stale_uploads(state).await?;
    remove_orphans(state).await?;
    state.claims.wake();
    state.leases.wake();
    Ok(())
}

/// Removes what attempts uploaded that ended without success. What an accepted attempt uploaded stays
/// until it is published.
async fn remove_stale_uploads(state: &AppState) -> Result<(), Error> {
    for attempt in state.repos.uploading()? {
        let row = attempts::by_id(state.database.read(), attempt).await?;
        let stale = match row.map(|row| row.status) {
            Some(AttemptStatus::Queued | AttemptStatus::Running | AttemptStatus::Succeeded) => {
                false
            }
            Some(AttemptStatus::Failed | AttemptStatus::Lost) | None => true,
        };
        if stale {
            fs_err::tokio::remove_dir_all(state.repos.uploads(attempt)).await?;
        }
    }
    Ok(())
}
