//! When the pipelines of attempts are requested: within the limits of count and rate, and after pauses.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::AttemptId;
use tokio::time::Instant;

use crate::outage::{Backoff, Pauses};

use super::rate_limiter::RateLimiter;

/// The number of concurrent requests.
const CONCURRENCY: usize = 3;
/// After this many failures in a row, GitLab counts as down, whatever the errors say.
const MAX_FAILURES_IN_A_ROW: u32 = 3;
/// After this many failures of its own an attempt fails, which takes about ten minutes.
const MAX_FAILURES_PER_ATTEMPT: u32 = 10;
const PAUSES: Pauses = Pauses::growing(Duration::from_secs(1), Duration::from_secs(120));

/// The schedule of the attempts that want a pipeline. Each takes one or more steps.
pub(crate) struct Schedule {
    rate_limiter: RateLimiter,
    /// Attempts whose step is running (`None`), or must not run before a time.
    not_before: HashMap<AttemptId, Option<Instant>>,
    failures: HashMap<AttemptId, Failures>,
    failures_in_a_row: u32,
    /// When requests resume after a failure of GitLab as a whole.
    backoff_until: Option<Instant>,
}

/// The failures of one attempt, apart from those of GitLab as a whole.
struct Failures {
    count: u32,
    backoff: Backoff,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            count: 0,
            backoff: Backoff::new(PAUSES),
        }
    }
}

/// What has failed when a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// GitLab as a whole: all requests should pause.
    Gitlab,
    /// The request for one attempt, which is retried.
    Attempt,
    /// The request for one attempt, too often to be retried.
    AttemptForGood,
}

impl Schedule {
    /// Creates a schedule with a minimum time between two steps.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            rate_limiter: RateLimiter::new(interval),
            not_before: HashMap::new(),
            failures: HashMap::new(),
            failures_in_a_row: 0,
            backoff_until: None,
        }
    }

    /// Returns when steps resume, if all are paused.
    pub(crate) fn resumes_at(&mut self, now: Instant) -> Option<Instant> {
        self.backoff_until = self.backoff_until.filter(|until| *until > now);
        self.backoff_until
    }

    /// Returns how many attempts there is room for besides those that want a pipeline. Few at a time, so that builds
    /// that become urgent meanwhile come first. Attempts in a pause do not count against the others.
    pub(crate) fn room(&self, wanted: &[AttemptId], now: Instant) -> usize {
        let is_paused = |attempt: &&AttemptId| {
            let at = self.not_before.get(attempt).copied().flatten();
            at.is_some_and(|at| at > now)
        };
        let paused = wanted.iter().filter(is_paused).count();
        (2 * CONCURRENCY + paused).saturating_sub(wanted.len())
    }

    /// Returns the attempts whose steps begin now, while `running` others run. Also returns when more may be due;
    /// the end of a step may make room, too. `wanted` are all attempts that want a pipeline, oldest first.
    pub(crate) fn take_due(
        &mut self,
        mut wanted: Vec<AttemptId>,
        running: usize,
        now: Instant,
    ) -> (Vec<AttemptId>, Option<Instant>) {
        self.not_before
            .retain(|attempt, _| wanted.contains(attempt));
        self.failures.retain(|attempt, _| wanted.contains(attempt));
        // Attempts with failures come last, so that they do not take all slots.
        wanted.sort_by_key(|attempt| self.failures.get(attempt).map(|failures| failures.count));
        let mut due = Vec::new();
        let mut later: Option<Instant> = None;
        for attempt in wanted {
            match self.not_before.get(&attempt) {
                Some(None) => continue,
                Some(Some(at)) if *at > now => {
                    later = later.into_iter().chain([*at]).min();
                    continue;
                }
                _ => {}
            }
            if running + due.len() >= CONCURRENCY {
                break;
            }
            if !self.rate_limiter.take(now) {
                later = later.into_iter().chain([self.rate_limiter.next()]).min();
                break;
            }
            self.not_before.insert(attempt, None);
            due.push(attempt);
        }
        (due, later)
    }

    /// Records that an attempt needs no more steps.
    pub(crate) fn record_settled(&mut self, attempt: AttemptId) {
        self.failures_in_a_row = 0;
        self.not_before.remove(&attempt);
    }

    /// Records that an attempt needs another step after a pause.
    pub(crate) fn record_pause(&mut self, attempt: AttemptId, until: Instant) {
        self.failures_in_a_row = 0;
        self.delay(attempt, until);
    }

    /// Records that a step has failed, because of GitLab if `affects_all` requests.
    pub(crate) fn record_failure(
        &mut self,
        attempt: AttemptId,
        affects_all: bool,
        now: Instant,
    ) -> Failed {
        self.failures_in_a_row += 1;
        let failures = self.failures.entry(attempt).or_default();
        if affects_all || self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW {
            // GitLab seems to be down, which is not a failure of this attempt.
            failures.count = failures.count.max(1);
            return Failed::Gitlab;
        }
        failures.count += 1;
        let pause = failures.backoff.failed();
        let is_last = failures.count >= MAX_FAILURES_PER_ATTEMPT;
        self.delay(attempt, now + pause);
        if is_last {
            Failed::AttemptForGood
        } else {
            Failed::Attempt
        }
    }

    /// Pauses all steps after a failure of GitLab that the step of an attempt has noticed.
    pub(crate) fn pause_all(&mut self, attempt: AttemptId, until: Instant) {
        self.backoff_until = Some(until);
        self.delay(attempt, until);
    }

    /// Delays the next step of an attempt.
    pub(crate) fn delay(&mut self, attempt: AttemptId, until: Instant) {
        self.not_before.insert(attempt, Some(until));
    }

    /// Lets all running steps be repeated, because one of them ended without naming its attempt.
    pub(crate) fn repeat_running(&mut self) {
        self.not_before.retain(|_, at| at.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> [AttemptId; 5] {
        std::array::from_fn(|_| AttemptId::new())
    }

    fn due(schedule: &mut Schedule, wanted: &[AttemptId], now: Instant) -> Vec<AttemptId> {
        schedule.take_due(wanted.to_vec(), 0, now).0
    }

    #[test]
    fn begins_few_steps_at_once() {
        let (mut schedule, wanted) = (Schedule::new(Duration::ZERO), attempts());
        let now = Instant::now();
        assert_eq!(due(&mut schedule, &wanted, now), wanted[..3]);
        assert_eq!(due(&mut schedule, &wanted, now), wanted[3..]);
        assert_eq!(schedule.room(&wanted, now), 1);
        let slow = Duration::from_secs(6);
        let mut schedule = Schedule::new(slow);
        // The limiter began earlier than this.
        let now = now + slow;
        let (first, next) = schedule.take_due(wanted.to_vec(), 0, now);
        assert_eq!((first.as_slice(), next), (&wanted[..1], Some(now + slow)));
    }

    #[test]
    fn begins_steps_of_attempts_with_failures_last() {
        let (mut schedule, wanted) = (Schedule::new(Duration::ZERO), attempts());
        let now = Instant::now();
        assert_eq!(due(&mut schedule, &wanted[..1], now), wanted[..1]);
        let failed = schedule.record_failure(wanted[0], false, now);
        assert_eq!(failed, Failed::Attempt);
        assert!(due(&mut schedule, &wanted[..1], now).is_empty());
        assert_eq!(schedule.room(&wanted[..1], now), 6);
        let later = now + Duration::from_secs(600);
        assert_eq!(due(&mut schedule, &wanted, later), wanted[1..4]);
    }

    #[test]
    fn gives_up_an_attempt_after_many_failures_of_its_own() {
        let (mut schedule, [failing, other, ..]) = (Schedule::new(Duration::ZERO), attempts());
        let now = Instant::now();
        for _ in 1..MAX_FAILURES_PER_ATTEMPT {
            let failed = schedule.record_failure(failing, false, now);
            assert_eq!(failed, Failed::Attempt);
            schedule.record_settled(other);
        }
        let failed = schedule.record_failure(failing, false, now);
        assert_eq!(failed, Failed::AttemptForGood);
    }

    #[test]
    fn pauses_after_failures_in_a_row() {
        let (mut schedule, wanted) = (Schedule::new(Duration::ZERO), attempts());
        let now = Instant::now();
        let failed = wanted[..3].iter();
        let failed = failed.map(|attempt| schedule.record_failure(*attempt, false, now));
        let expected = [Failed::Attempt, Failed::Attempt, Failed::Gitlab];
        assert!(failed.eq(expected));
        let until = now + Duration::from_secs(2);
        schedule.pause_all(wanted[2], until);
        assert_eq!(schedule.resumes_at(now), Some(until));
        assert_eq!(schedule.resumes_at(until), None);
    }
}
