//! The wall clock, and timestamps in the database. Only this file reads the machine's clock; everything else asks the
//! [`Clock`] that the server was started with, so that tests can advance it. Durations on this machine, such as
//! backoff, are measured with the monotonic `Instant`.

use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::saturating;
use jiff::Timestamp;
use tokio::sync::watch;

/// A timestamp in the database: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// Returns the time since an earlier timestamp; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let elapsed = self.0.saturating_sub(earlier.0);
        u64::try_from(elapsed).map_or(Duration::ZERO, Duration::from_millis)
    }
}

impl Add<Duration> for Millis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating(duration.as_millis())))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating(duration.as_millis())))
    }
}

impl From<Timestamp> for Millis {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

impl From<Millis> for Timestamp {
    fn from(time: Millis) -> Self {
        let nearest = if time.0 < 0 { Self::MIN } else { Self::MAX };
        Self::from_millisecond(time.0).unwrap_or(nearest)
    }
}

/// A time span in the database: whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Seconds(pub u32);

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(saturating(duration.as_secs()))
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0.into())
    }
}

/// A clock. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
    jumps: watch::Sender<()>,
}

impl Default for Clock {
    /// Creates the machine's clock.
    fn default() -> Self {
        Self::from_fn(|| Timestamp::now().into())
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

impl Clock {
    /// Creates a clock that returns what a function returns.
    pub fn from_fn(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self {
            now: Arc::new(now),
            jumps: watch::Sender::new(()),
        }
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Millis {
        (self.now)()
    }

    /// Wakes the tasks that wait for a time of this clock. Call it after the clock has jumped, which their timers do
    /// not notice.
    pub fn announce_jump(&self) {
        self.jumps.send_replace(());
    }

    /// Returns the jumps from now on.
    #[must_use]
    pub fn jumps(&self) -> Jumps {
        Jumps(self.jumps.subscribe())
    }
}

/// The announced jumps of a clock.
#[derive(Debug)]
pub struct Jumps(watch::Receiver<()>);

impl Jumps {
    /// Waits for a jump since the last call. Cancel-safe: dropping the wait loses no jump.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The clock was dropped, so there will be no jumps.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn counts_no_time_before_a_later_one() {
        let (early, late) = (Millis(1_000), Millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early + late.since(early), late);
    }

    #[tokio::test]
    async fn keeps_jumps_that_came_before_the_wait() {
        let clock = Clock::default();
        let mut jumps = clock.jumps();
        clock.announce_jump();
        clock.announce_jump();
        jumps.next().await;
        assert!(jumps.next().now_or_never().is_none());
    }

    #[test]
    fn stays_in_range() {
        assert_eq!(Millis(1) + Duration::MAX, Millis(i64::MAX));
        assert_eq!(Timestamp::from(Millis(i64::MAX)), Timestamp::MAX);
        assert_eq!(Timestamp::from(Millis(0)), Timestamp::UNIX_EPOCH);
    }
}
