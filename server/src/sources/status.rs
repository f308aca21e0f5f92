//! How watching the sources goes, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::outage::{Current, Outage};

/// Shared between the watch, which writes it, and the pages.
#[derive(Clone, Debug)]
pub(super) struct Status {
    now: Arc<Mutex<Snapshot>>,
    outage: Outage,
}

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
    /// What keeps the sources from being read.
    pub outage: Option<Current>,
}

/// How far a full look has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Repositories looked at.
    pub seen: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

impl Status {
    pub(super) fn new(complete: bool, outage: Outage) -> Self {
        let now = Snapshot {
            complete,
            ..Snapshot::default()
        };
        Self {
            now: Arc::new(Mutex::new(now)),
            outage,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            outage: self.outage.current(),
            ..self.lock().clone()
        }
    }

    pub(super) fn outage(&self) -> &Outage {
        &self.outage
    }

    pub(super) fn resync_finished(&self) {
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
    pub(super) fn resync_ended(&self) {
        self.lock().progress = None;
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
