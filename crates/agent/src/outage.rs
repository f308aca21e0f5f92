//! Logs outages of the server: once for the whole program, however many tasks wait, and at growing intervals.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use buildbtw_model::client::ClientError;

const FIRST_GAP: Duration = Duration::from_secs(1);
const MAX_GAP: Duration = Duration::from_secs(300);

/// The current outage of the server, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    next_line: Instant,
    gaps: ExponentialBackoff,
}

impl Outage {
    /// Records a failed request that will be retried. Starts an outage if there is none.
    pub(crate) fn record_failure(&self, error: &ClientError) {
        if self.should_log(Instant::now()) {
            tracing::warn!(%error, "waiting for the server");
        }
    }

    /// Records that the server responded. Ends the outage if there is one.
    pub(crate) fn end(&self) {
        let outage = self.lock().take();
        if let Some(outage) = outage {
            let seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!("the server is reachable again after {seconds:.1} s");
        }
    }

    /// Returns whether there is an outage.
    pub(crate) fn is_current(&self) -> bool {
        self.lock().is_some()
    }

    fn should_log(&self, now: Instant) -> bool {
        let mut current = self.lock();
        let outage = current.get_or_insert(Current {
            since: now,
            next_line: now,
            gaps: ExponentialBuilder::new()
                .with_min_delay(FIRST_GAP)
                .with_max_delay(MAX_GAP)
                .without_max_times()
                .build(),
        });
        if now < outage.next_line {
            return false;
        }
        outage.next_line = now + outage.gaps.next().unwrap_or(MAX_GAP);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_outage_at_growing_intervals_and_resets_with_the_next() {
        let outage = Outage::default();
        let start = Instant::now();
        let lines: Vec<u64> = (0..600)
            .filter(|&second| outage.should_log(start + Duration::from_secs(second)))
            .collect();
        assert_eq!(lines, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
        outage.end();
        assert!(outage.should_log(start));
    }
}
