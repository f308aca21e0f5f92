//! Rate limits per source.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::Source;

/// The time over which requests are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Maximum number of sources; beyond it, all counts are dropped.
const MAX_SOURCES: usize = 10_000;

/// The counts of the last minute per source. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RateLimit {
    allowed: u32,
    windows: Arc<Mutex<HashMap<Source, Window>>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl RateLimit {
    /// Creates a limit of `allowed` per minute and source.
    #[must_use]
    pub fn per_minute(allowed: u32) -> Self {
        Self {
            allowed,
            windows: Arc::default(),
        }
    }

    /// Counts one more. Returns how long to wait if the limit is exceeded.
    pub fn record(&self, address: IpAddr) -> Option<Duration> {
        self.record_at(address, Instant::now())
    }

    /// Returns whether a source has reached its limit.
    pub fn is_exhausted(&self, address: IpAddr) -> bool {
        let known = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = known.get(&Source::from(address));
        window.is_some_and(|window| window.count >= self.allowed && window.since.elapsed() < WINDOW)
    }

    fn record_at(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut known = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_SOURCES {
            known.retain(|_, window| now.duration_since(window.since) < WINDOW);
            if known.len() >= MAX_SOURCES {
                known.clear();
            }
        }
        let fresh = || Window {
            since: now,
            count: 0,
        };
        let window = known.entry(address.into()).or_insert_with(fresh);
        if now.duration_since(window.since) >= WINDOW {
            *window = fresh();
        }
        window.count = window.count.saturating_add(1);
        (window.count > self.allowed).then(|| WINDOW - now.duration_since(window.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_source_until_its_window_ends() {
        let limit = RateLimit::per_minute(20);
        let (here, there) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(limit.record_at(here, start), None);
        }
        assert!(limit.is_exhausted(here) && !limit.is_exhausted(there));
        let later = start + Duration::from_secs(20);
        assert_eq!(limit.record_at(here, later), Some(Duration::from_secs(40)));
        assert_eq!(limit.record_at(there, later), None);
        assert_eq!(limit.record_at(here, start + WINDOW), None);
    }

    #[test]
    fn counts_ipv6_network_as_one_source() {
        let limit = RateLimit::per_minute(1);
        let start = Instant::now();
        assert_eq!(limit.record_at("2001:db8::1".parse().unwrap(), start), None);
        assert!(
            limit
                .record_at("2001:db8::2".parse().unwrap(), start)
                .is_some()
        );
    }
}
