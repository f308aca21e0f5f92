//! Keeps the lease of an attempt, and hears from the server when its build shall stop.

use std::time::Duration;

use buildbtw_model::AttemptId;

use crate::link::{Link, Refusal};
use crate::signals::{Signals, Stop};

/// A lease is renewed this many times before it would run out.
const BEATS_PER_LEASE: u32 = 3;
/// However short the lease.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// For an attempt of an earlier run, whose lease is not known: the first answer tells.
pub(crate) const UNKNOWN_LEASE_S: u32 = 30;

/// Beats until the attempt is over on the server's side; whoever started it drops it before that.
pub(crate) async fn run(link: &Link, attempt: AttemptId, lease_s: u32, signals: &Signals) {
    let mut pause = pause(lease_s);
    loop {
        let beat = || async {
            // An answer that takes longer than this comes too late; the next try may be quicker.
            let answer = link.client.heartbeat(attempt);
            tokio::time::timeout(pause.max(Duration::from_secs(1)), answer)
                .await
                .unwrap_or_else(|_| Err(link.too_slow()))
        };
        match link.persist(beat).await {
            Ok(answer) => {
                pause = self::pause(answer.lease_s);
                if answer.cancel {
                    signals.stop(Stop::Cancelled);
                }
            }
            Err(Refusal::Refused(error)) => tracing::warn!(%error, "heartbeat refused"),
            Err(refusal) => {
                match refusal {
                    Refusal::Denied(error) => link.denied(error),
                    Refusal::Ended => signals.stop(Stop::Ended),
                    Refusal::Leaving | Refusal::Refused(_) => {}
                }
                signals.announced.cancel();
                return;
            }
        }
        signals.announced.cancel();
        tokio::time::sleep(pause).await;
    }
}

fn pause(lease_s: u32) -> Duration {
    (Duration::from_secs(lease_s.into()) / BEATS_PER_LEASE).max(SHORTEST_PAUSE)
}
