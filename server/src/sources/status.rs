//! How watching the sources goes, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Shared between the watch, which writes it, and the pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Status(Arc<Mutex<Snapshot>>);

/// How watching the sources goes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When all repositories were last looked at.
    pub last_scan: Option<Timestamp>,
    /// When what moved was last looked at.
    pub last_poll: Option<Timestamp>,
    /// How far the full look that is under way has come.
    pub progress: Option<Progress>,
    /// Whether there ever was a full look. Before, plans would lack what was not seen yet.
    pub complete: bool,
    /// What keeps the sources from being looked at.
    pub trouble: Option<Trouble>,
    /// What is the same about that each time.
    gist: Option<String>,
}

/// How far a full look has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Repositories looked at.
    pub seen: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

/// What keeps the sources from being looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

impl Status {
    pub(super) fn new(complete: bool) -> Self {
        let status = Self::default();
        status.lock().complete = complete;
        status
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    pub(super) fn looked_at_all(&self) {
        let mut now = self.lock();
        now.last_scan = Some(Timestamp::now());
        now.progress = None;
        now.complete = true;
    }

    pub(super) fn polled(&self) {
        self.lock().last_poll = Some(Timestamp::now());
    }

    pub(super) fn progressed(&self, progress: Progress) {
        self.lock().progress = Some(progress);
    }

    /// Notes that no full look is under way any more.
    pub(super) fn no_progress(&self) {
        self.lock().progress = None;
    }

    /// Notes what is wrong. Returns whether its gist is new.
    pub(super) fn failed(&self, message: String, gist: String) -> bool {
        let mut now = self.lock();
        let since = now.trouble.as_ref().map(|trouble| trouble.since);
        let is_new = now.gist.as_ref() != Some(&gist);
        now.gist = Some(gist);
        now.trouble = Some(Trouble {
            message,
            since: since.unwrap_or_else(Timestamp::now),
        });
        is_new
    }

    /// Notes that all is well. Returns since when it was not.
    pub(super) fn recovered(&self) -> Option<Timestamp> {
        let mut now = self.lock();
        now.gist = None;
        now.trouble.take().map(|trouble| trouble.since)
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
