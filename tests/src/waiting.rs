//! Waiting for changes by other processes.

use std::time::{Duration, Instant};

/// Longer than any step takes on a busy machine; only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a function returns a value.
pub fn eventually<T>(what: &str, check: impl Fn() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let started = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "timed out waiting for: {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
