//! Counts failed logins per address, so that whoever tries tokens, or has a wrong one in a loop,
//! is told to slow down. Valid tokens are never held up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many wrong tokens an address may send in a window.
const ALLOWED: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// More addresses than this are forgotten at once rather than kept.
const MAX_ADDRESSES: usize = 10_000;

/// The failures of the last while.
#[derive(Clone, Debug, Default)]
pub struct FailedLogins(Arc<Mutex<HashMap<IpAddr, Window>>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    failures: u32,
}

impl FailedLogins {
    /// Notes a failure. Returns how long to wait if there were too many.
    pub(crate) fn note(&self, address: IpAddr) -> Option<Duration> {
        self.note_at(address, Instant::now())
    }

    fn note_at(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_ADDRESSES {
            known.retain(|_, window| now.duration_since(window.since) < WINDOW);
            if known.len() >= MAX_ADDRESSES {
                known.clear();
            }
        }
        let window = known.entry(address).or_insert(Window {
            since: now,
            failures: 0,
        });
        if now.duration_since(window.since) >= WINDOW {
            *window = Window {
                since: now,
                failures: 0,
            };
        }
        window.failures += 1;
        (window.failures > ALLOWED).then(|| WINDOW - now.duration_since(window.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_failures_are_held_up_until_the_window_ends() {
        let failures = FailedLogins::default();
        let (here, there) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let start = Instant::now();
        for _ in 0..ALLOWED {
            assert_eq!(failures.note_at(here, start), None);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(failures.note_at(here, later), Some(Duration::from_secs(40)));
        assert_eq!(failures.note_at(there, later), None);
        assert_eq!(failures.note_at(here, start + WINDOW), None);
    }
}
