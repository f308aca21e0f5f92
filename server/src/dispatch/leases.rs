//! Wakes when a lease runs out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::{attempts, now};
use crate::error::Error;
use crate::service::expire_leases::{expire_leases, renew_leases};

/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest time between two checks: leases expire by the wall clock, which may jump forward, as it
/// does on a machine that was suspended. A lease that such a jump lets expire during a check is none that
/// the check returns.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The task that gives builds of silent workers back to the queue.
#[derive(Clone, Debug, Default)]
pub struct LeaseClock {
    changed: Arc<Notify>,
}

impl LeaseClock {
    /// Says that a lease was given, so that the next to run out may be another.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Runs until cancelled.
    pub async fn run(self, state: AppState, cancel: CancellationToken) {
        let mut was_down = false;
        loop {
            let wait = match next_wait(&state, was_down).await {
                Ok(wait) => {
                    was_down = false;
                    wait
                }
                Err(error) => {
                    tracing::error!(error = error.to_string(), "cannot look at leases");
                    was_down = true;
                    Some(PAUSE_AFTER_ERROR)
                }
            };
            let expiry = tokio::time::sleep(wait.map_or(LOOK_AGAIN, |wait| wait.min(LOOK_AGAIN)));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.changed.notified() => {}
                () = expiry => {}
            }
        }
    }
}

/// Gives back what has run out, and returns how long the next lease lasts.
async fn next_wait(state: &AppState, was_down: bool) -> Result<Option<Duration>, Error> {
    if was_down {
        // While nothing could be written, for example because the disk was full, heartbeats were
        // refused: that is no sign that a worker is gone.
        renew_leases(state).await?;
    }
    let at = now();
    expire_leases(state, at).await?;
    let next = attempts::next_expiry(state.database.read(), at).await?;
    Ok(next.map(|at| Duration::from_millis(u64::try_from(at - now()).unwrap_or_default() + 1)))
}
