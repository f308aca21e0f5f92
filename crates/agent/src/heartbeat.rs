//! Renews the lease of an attempt, and stops its build when the server requests it.

use std::time::Duration;

use buildbtw_model::AttemptId;

use crate::connection::{Connection, RequestError};
use crate::signals::{Signals, StopReason};

/// How often a lease is renewed before it would expire.
const BEATS_PER_LEASE: u32 = 3;
/// The shortest interval between heartbeats.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The assumed lease of an earlier run's attempt, in seconds, until the first response contains the real one.
pub(crate) const ASSUMED_LEASE_S: u32 = 30;

/// Sends heartbeats until the server has ended the attempt. To be dropped when the attempt is settled.
pub(crate) async fn run(
    connection: &Connection,
    attempt: AttemptId,
    lease_s: u32,
    signals: &Signals,
) {
    let mut interval = interval(lease_s);
    loop {
        let beat = || async {
            // Another try can be faster than waiting for a slow response.
            let load = connection.load();
            let response = connection.client.heartbeat_with(attempt, load.as_ref());
            tokio::time::timeout(interval.max(Duration::from_secs(1)), response)
                .await
                .unwrap_or_else(|_| Err(connection.timeout_error()))
        };
        match connection.retry(beat).await {
            Ok(response) => {
                interval = self::interval(response.lease_s);
                if response.cancel {
                    signals.stop(StopReason::Cancelled);
                }
            }
            Err(RequestError::Rejected(error)) => {
                tracing::warn!(%error, "the server rejected a heartbeat");
            }
            Err(error) => {
                match error {
                    RequestError::Denied(error) => connection.denied(error),
                    RequestError::AttemptEnded => signals.stop(StopReason::Ended),
                    RequestError::ShuttingDown | RequestError::Rejected(_) => {}
                }
                signals.announced.cancel();
                return;
            }
        }
        signals.announced.cancel();
        tokio::time::sleep(interval).await;
    }
}

fn interval(lease_s: u32) -> Duration {
    (Duration::from_secs(lease_s.into()) / BEATS_PER_LEASE).max(MIN_INTERVAL)
}
