//! Deletes `.SRCINFO` texts that nothing refers to: of refs that were looked up but not planned, and
//! of commits that no repository is at and no build was planned with.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::{now, srcinfos};
use crate::error::Error;

/// The time between sweeps.
const EVERY: Duration = Duration::from_secs(3600);
/// How long a text is kept that nothing refers to: it may be planned with at this moment.
const KEPT_MS: i64 = 2 * 3600 * 1_000;
/// How many are changed in one transaction, so that others get their turn.
const BATCH: u32 = 200;

/// Sweeps at start and every hour until cancelled.
pub async fn run(state: AppState, cancel: CancellationToken) {
    loop {
        if let Err(error) = sweep(&state).await {
            tracing::error!(
                error = error.to_string(),
                "cannot delete .SRCINFO texts that nothing refers to; tried again in an hour"
            );
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(state: &AppState) -> Result<(), Error> {
    loop {
        let mut tx = state.database.write().await?;
        let noted = srcinfos::note_unused(&mut tx, BATCH.into()).await?;
        let before = now() - KEPT_MS;
        let deleted = srcinfos::delete_unused(&mut tx, before, BATCH.into()).await?;
        tx.commit().await?;
        if deleted > 0 {
            tracing::debug!(deleted, "deleted .SRCINFO texts that nothing refers to");
        }
        if noted.max(deleted) < BATCH.into() {
            return Ok(());
        }
    }
}
