//! Work by key, for actors that do the same for many things: when each key is due, a backoff for each, and an outage
//! that lasts while any of them fails.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Next;
use crate::outage::{Backoff, Failure, Outage};

/// The keys of an actor's work. The actor takes those that are due, and records the result of each.
pub(crate) struct Keyed<K> {
    outage: Outage,
    due: BTreeMap<K, Instant>,
    failing: BTreeMap<K, Failing>,
    /// Whether everything succeeded in this turn; `None` if nothing was tried.
    has_succeeded: Option<bool>,
}

/// The last failure of a key.
struct Failing {
    failure: Failure,
    backoff: Backoff,
}

impl<K: Clone + Ord> Keyed<K> {
    /// Creates work without keys. Their failures are shown as `outage`.
    pub(crate) fn new(outage: &Outage) -> Self {
        Self {
            outage: outage.clone(),
            due: BTreeMap::new(),
            failing: BTreeMap::new(),
            has_succeeded: None,
        }
    }

    /// Makes a key due at a time, unless it is due already.
    pub(crate) fn schedule(&mut self, key: K, at: Instant) {
        self.due.entry(key).or_insert(at);
    }

    /// Takes the keys that are due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<K> {
        let due = self.due.extract_if(.., |_, at| *at <= now);
        due.map(|(key, _)| key).collect()
    }

    /// Returns when a key is due, which after a failure is the end of its backoff.
    pub(crate) fn due_at(&self, key: &K) -> Option<Instant> {
        self.due.get(key).copied()
    }

    /// Returns when the first key is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Records a success of a key.
    pub(crate) fn succeeded(&mut self, key: &K) {
        self.forget(key);
        self.confirm();
    }

    /// Records a success that belongs to no key.
    pub(crate) fn confirm(&mut self) {
        self.has_succeeded.get_or_insert(true);
    }

    /// Records a failure of a key, which is due again after its backoff. Returns that time.
    pub(crate) fn failed(&mut self, key: K, failure: Failure) -> Instant {
        self.has_succeeded = Some(false);
        let before = self.failing.remove(&key);
        let is_known = before
            .as_ref()
            .is_some_and(|before| before.failure.is_like(&failure));
        let mut backoff = before.map_or_else(|| self.outage.backoff(), |before| before.backoff);
        let pause = backoff.pause_after(&failure);
        // Two keys with different failures must not fill the log in turns.
        if !is_known {
            self.outage.note(&failure, pause);
        }
        let at = Instant::now() + pause;
        self.due.insert(key.clone(), at);
        self.failing.insert(key, Failing { failure, backoff });
        at
    }

    /// Removes a key that needs no more work.
    pub(crate) fn forget(&mut self, key: &K) {
        self.due.remove(key);
        let had_failed = self.failing.remove(key).is_some();
        if had_failed && let Some(other) = self.failing.values().next() {
            self.outage.show(&other.failure);
        }
    }

    /// Removes the keys for which `is_needed` returns false.
    pub(crate) fn retain(&mut self, is_needed: impl Fn(&K) -> bool) {
        let known = self.due.keys().chain(self.failing.keys());
        let gone: Vec<K> = known.filter(|key| !is_needed(key)).cloned().collect();
        for key in gone {
            self.forget(&key);
        }
    }

    /// Ends a turn; the next one is due at a time, or after an event only. The outage ends if no key fails and
    /// something succeeded, or if there is nothing to do.
    pub(crate) fn next(&mut self, at: Option<Instant>) -> Next {
        let next = Next::maybe_at(at);
        match self.has_succeeded.take() {
            Some(false) => next.failed(),
            Some(true) if self.failing.is_empty() => next,
            None if self.failing.is_empty() && at.is_none() => next,
            Some(true) | None => next.keep_outage(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outage::Pauses;
    use crate::time::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn keyed() -> Keyed<u32> {
        let pauses = Pauses::growing(SECOND, 4 * SECOND);
        Keyed::new(&Outage::new("a test", pauses, &Clock::default()))
    }

    fn failure(shown: usize) -> Failure {
        Failure::ProjectsMissing { shown, known: 9 }
    }

    #[tokio::test(start_paused = true)]
    async fn backs_off_each_key_on_its_own() {
        let (mut keyed, began) = (keyed(), Instant::now());
        assert_eq!(keyed.failed(1, failure(0)), began + SECOND);
        assert_eq!(keyed.failed(1, failure(0)), began + 2 * SECOND);
        assert_eq!(keyed.failed(2, failure(0)), began + SECOND);
        keyed.schedule(1, began);
        assert_eq!(keyed.take_due(began), [0; 0]);
        assert_eq!(keyed.next_due(), Some(began + SECOND));
        assert_eq!(keyed.take_due(began + 2 * SECOND), [1, 2]);
        keyed.succeeded(&1);
        assert_eq!(keyed.failed(1, failure(0)), began + SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_outage_while_any_key_fails() {
        let (mut keyed, at) = (keyed(), Some(Instant::now()));
        let message = |keyed: &Keyed<u32>| keyed.outage.current().unwrap().cause.message;
        keyed.failed(1, failure(1));
        keyed.failed(2, failure(2));
        assert_eq!(keyed.next(at), Next::maybe_at(at).failed());
        assert_eq!(message(&keyed), failure(2).to_string());
        keyed.succeeded(&2);
        assert_eq!(keyed.next(at), Next::maybe_at(at).keep_outage());
        assert_eq!(message(&keyed), failure(1).to_string());
        keyed.succeeded(&1);
        assert_eq!(keyed.next(at), Next::maybe_at(at));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_outage_until_something_succeeds_or_there_is_nothing_to_do() {
        let (mut keyed, at) = (keyed(), Some(Instant::now()));
        assert_eq!(keyed.next(at), Next::maybe_at(at).keep_outage());
        assert_eq!(keyed.next(None), Next::event());
        keyed.confirm();
        assert_eq!(keyed.next(at), Next::maybe_at(at));
        keyed.failed(1, failure(0));
        keyed.retain(|key| *key != 1);
        assert_eq!(keyed.next_due(), None);
        keyed.next(at);
        assert_eq!(keyed.next(None), Next::event());
    }
}
