//! The stand-in's clock, which tests move instead of waiting.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

use crate::lock;

/// A clock that can be set, stopped and advanced. Clones share the time.
///
/// Initially it follows the machine's clock. It has a resolution of a second, like GitLab's timestamps.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug, Default)]
struct Reading {
    offset: SignedDuration,
    stopped_at: Option<Timestamp>,
}

impl Clock {
    /// Returns the time in whole seconds.
    pub fn now(&self) -> Timestamp {
        let reading = lock(&self.0);
        let now = reading
            .stopped_at
            .unwrap_or_else(|| Timestamp::now() + reading.offset);
        whole_seconds(now)
    }

    /// Stops the clock at a time.
    pub fn set(&self, time: Timestamp) {
        lock(&self.0).stopped_at = Some(time);
    }

    /// Stops the clock.
    pub fn freeze(&self) {
        self.set(self.now());
    }

    /// Advances the clock. A stopped clock stays stopped.
    pub fn advance(&self, by: SignedDuration) {
        let mut reading = lock(&self.0);
        match &mut reading.stopped_at {
            Some(time) => *time += by,
            None => reading.offset += by,
        }
    }

    /// Lets the clock follow the machine's clock again.
    pub fn resume(&self) {
        *lock(&self.0) = Reading::default();
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Formats a date for HTTP.
pub(crate) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_clock_moves_only_when_advanced() {
        let clock = Clock::default();
        clock.set("2026-08-22T00:44:03.9Z".parse().unwrap());
        assert_eq!(clock.now().to_string(), "2026-08-22T00:44:03Z");
        clock.advance(SignedDuration::from_mins(61));
        assert_eq!(clock.now().to_string(), "2026-08-22T01:45:03Z");
        assert_eq!(http_date(clock.now()), "Sat, 22 Aug 2026 01:45:03 GMT");
    }
}
