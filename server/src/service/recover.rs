//! What the server does first after it was stopped, however it was stopped.

use crate::app_state::AppState;
use crate::db::{attempts, builds, now};
use crate::error::Error;

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
    state.claims.wake();
    state.leases.wake();
    Ok(())
}
