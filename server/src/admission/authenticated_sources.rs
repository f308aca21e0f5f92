//! Sources that authenticated recently.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::Source;

/// How long an authentication of a source counts.
const AUTHENTICATED_TTL: Duration = Duration::from_secs(3600);
/// Maximum number of sources; beyond it, the least recent one is evicted.
const MAX_SOURCES: usize = 10_000;

/// The sources that authenticated within the last hour.
#[derive(Debug, Default)]
pub(super) struct AuthenticatedSources(Mutex<HashMap<Source, Instant>>);

impl AuthenticatedSources {
    /// Records that a source authenticated.
    pub(super) fn record(&self, source: Source, now: Instant) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MAX_SOURCES && !sources.contains_key(&source) {
            sources.retain(|_, at| now.duration_since(*at) < AUTHENTICATED_TTL);
            if sources.len() >= MAX_SOURCES
                && let Some(oldest) = sources.iter().min_by_key(|(_, at)| **at).map(|(s, _)| *s)
            {
                sources.remove(&oldest);
            }
        }
        sources.insert(source, now);
    }

    /// Returns whether a source authenticated within the last hour.
    pub(super) fn contains(&self, source: Source, now: Instant) -> bool {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources
            .get(&source)
            .is_some_and(|at| now.duration_since(*at) < AUTHENTICATED_TTL)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn remembers_sources_for_an_hour() {
        let sources = AuthenticatedSources::default();
        let source = Source::from(IpAddr::from([10, 0, 0, 1]));
        let start = Instant::now();
        assert!(!sources.contains(source, start));
        sources.record(source, start);
        assert!(sources.contains(source, start + AUTHENTICATED_TTL - Duration::from_secs(1)));
        assert!(!sources.contains(source, start + AUTHENTICATED_TTL));
    }

    #[test]
    fn evicts_oldest_source_first() {
        let sources = AuthenticatedSources::default();
        let start = Instant::now();
        let source = |number: usize| {
            let number = u32::try_from(number).unwrap();
            Source::from(IpAddr::from(Ipv4Addr::from_bits(number)))
        };
        for number in 0..=MAX_SOURCES {
            let at = start + Duration::from_millis(number.try_into().unwrap());
            sources.record(source(number), at);
        }
        assert!(!sources.contains(source(0), start));
        assert!(sources.contains(source(1), start));
        assert!(sources.contains(source(MAX_SOURCES), start));
    }
}
