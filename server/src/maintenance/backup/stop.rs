//! Ends a backup early, so that it removes what it has written.

use buildbtw_model::Explanation;
use tokio_util::sync::CancellationToken;

use super::explanations;

/// Waits for the end of some work, or for the signal to stop.
///
/// # Errors
/// When the work fails, or the backup is to stop.
pub(super) async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(explanations::interrupted().into()),
        done = work => done,
    }
}

/// Checks that the backup is not to stop.
///
/// # Errors
/// When it is.
pub(super) fn check(stop: &CancellationToken) -> Result<(), Explanation> {
    match stop.is_cancelled() {
        true => Err(explanations::interrupted()),
        false => Ok(()),
    }
}
