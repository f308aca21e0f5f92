//! Says that the server is away, and that it is back: once for the whole program, however many tasks
//! are waiting for it, and less often the longer it lasts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use buildbtw_model::client::ClientError;

const FIRST_GAP: Duration = Duration::from_secs(1);
const LONGEST_GAP: Duration = Duration::from_secs(300);

/// Whether the server is away.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    next_line: Instant,
    gap: Duration,
}

impl Outage {
    /// A request failed and will be repeated.
    pub(crate) fn failed(&self, error: &ClientError) {
        if self.is_worth_a_line(Instant::now()) {
            tracing::warn!(%error, "waiting for the server");
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        let ended = self.lock().take();
        if let Some(outage) = ended {
            let seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!("the server answers again after {seconds:.1} s");
        }
    }

    fn is_worth_a_line(&self, now: Instant) -> bool {
        let mut current = self.lock();
        let outage = current.get_or_insert(Current {
            since: now,
            next_line: now,
            gap: FIRST_GAP,
        });
        if now < outage.next_line {
            return false;
        }
        outage.next_line = now + outage.gap;
        outage.gap = (outage.gap * 2).min(LONGEST_GAP);
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
            .filter(|&second| outage.is_worth_a_line(start + Duration::from_secs(second)))
            .collect();
        assert_eq!(lines, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
        outage.answered();
        assert!(outage.is_worth_a_line(start));
    }
}
