//! Spreads requests evenly over time.

use std::time::Duration;

use tokio::time::Instant;

/// One thing at a time, each so long after the one before.
#[derive(Debug)]
pub(crate) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(gap: Duration) -> Self {
        Self {
            gap,
            next: Instant::now(),
        }
    }

    /// Whether it is time for the next; if so, the one after it has to wait.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        // What was not used is not made up for.
        self.next = now.max(self.next) + self.gap;
        true
    }

    pub(crate) fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_minimum_interval_between_pipelines() {
        let mut pace = Pace::new(Duration::from_secs(1));
        let start = Instant::now();
        assert!(pace.take(start));
        assert!(!pace.take(start));
        assert!(!pace.take(start + Duration::from_millis(900)));
        assert!(pace.take(start + Duration::from_secs(5)));
        assert!(!pace.take(start + Duration::from_secs(5)));
    }
}
