//! The state of watching the sources, for pages and the API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::outage::{Current, Outage};
use crate::time::Clock;

/// The state, shared between the watching actor, which writes it, and its readers.
#[derive(Clone, Debug)]
pub(super) struct Status {
    now: Arc<Mutex<Snapshot>>,
    outage: Outage,
    clock: Clock,
}

/// A snapshot of the state.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When the last full resync ended.
    pub last_scan: Option<Timestamp>,
    /// When the last poll ended.
    pub last_poll: Option<Timestamp>,
    /// The progress of the full resync that is running.
    pub progress: Option<Progress>,
    /// Whether a full resync has ever ended. Before, plans would lack packages.
    pub complete: bool,
    /// The outage of reading the sources.
    pub outage: Option<Current>,
}

/// The progress of a full resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of repositories read.
    pub seen: u64,
    /// The number of repositories, if it is known.
    pub total: Option<u64>,
}

impl Status {
    pub(super) fn new(complete: bool, outage: Outage, clock: &Clock) -> Self {
        let now = Snapshot {
            complete,
            ..Snapshot::default()
        };
        Self {
            now: Arc::new(Mutex::new(now)),
            outage,
            clock: clock.clone(),
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
        now.last_scan = Some(self.clock.now().into());
        now.progress = None;
        now.complete = true;
    }

    pub(super) fn polled(&self) {
        self.lock().last_poll = Some(self.clock.now().into());
    }

    pub(super) fn set_progress(&self, progress: Progress) {
        self.lock().progress = Some(progress);
    }

    /// Clears the progress of a full resync that has ended.
    pub(super) fn resync_ended(&self) {
        self.lock().progress = None;
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
