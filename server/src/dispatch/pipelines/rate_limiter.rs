//! Spreads requests evenly over time.

use std::time::Duration;

use tokio::time::Instant;

/// A rate limiter that allows one request at a time, with a gap between two.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    gap: Duration,
    next: Instant,
}

impl RateLimiter {
    pub(crate) fn new(gap: Duration) -> Self {
        Self {
            gap,
            next: Instant::now(),
        }
    }

    /// Returns whether the next request is due; if so, the one after it has to wait.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        // Unused turns are not made up for.
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
        let mut rate_limiter = RateLimiter::new(Duration::from_secs(1));
        let start = Instant::now();
        assert!(rate_limiter.take(start));
        assert!(!rate_limiter.take(start));
        assert!(!rate_limiter.take(start + Duration::from_millis(900)));
        assert!(rate_limiter.take(start + Duration::from_secs(5)));
        assert!(!rate_limiter.take(start + Duration::from_secs(5)));
    }
}
