//! Sources that authenticated recently.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::Source;

/// How long a source counts as known after it authenticated.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Maximum number of sources; beyond it, the least recent one is evicted.
const MAX_SOURCES: usize = 10_000;

/// The sources that authenticated within the last hour.
#[derive(Debug, Default)]
pub(super) struct KnownSources(Mutex<HashMap<Source, Instant>>);

impl KnownSources {
    /// Records that a source authenticated.
    pub(super) fn record(&self, source: Source, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_SOURCES && !known.contains_key(&source) {
            known.retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
            if known.len() >= MAX_SOURCES
                && let Some(oldest) = known.iter().min_by_key(|(_, at)| **at).map(|(s, _)| *s)
            {
                known.remove(&oldest);
            }
        }
        known.insert(source, now);
    }

    /// Whether a source authenticated within the last hour.
    pub(super) fn contains(&self, source: Source, now: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&source)
            .is_some_and(|at| now.duration_since(*at) < KNOWN_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn remembers_sources_for_an_hour() {
        let known = KnownSources::default();
        let source = Source::from(IpAddr::from([10, 0, 0, 1]));
        let start = Instant::now();
        assert!(!known.contains(source, start));
        known.record(source, start);
        assert!(known.contains(source, start + KNOWN_FOR - Duration::from_secs(1)));
        assert!(!known.contains(source, start + KNOWN_FOR));
    }

    #[test]
    fn evicts_oldest_source_first() {
        let known = KnownSources::default();
        let start = Instant::now();
        let source = |number: usize| {
            let number = u32::try_from(number).unwrap();
            Source::from(IpAddr::from(Ipv4Addr::from_bits(number)))
        };
        for number in 0..=MAX_SOURCES {
            let at = start + Duration::from_millis(number.try_into().unwrap());
            known.record(source(number), at);
        }
        assert!(!known.contains(source(0), start));
        assert!(known.contains(source(1), start));
        assert!(known.contains(source(MAX_SOURCES), start));
    }
}
