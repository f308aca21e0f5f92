//! The queue in which requests wait for a current index.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::{Pkgbase, ProjectId};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::wakers::Waker;

/// A repository that must be read even without a report of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    /// That of a pkgbase, wherever it is.
    Pkgbase(Pkgbase),
    /// That of a GitLab project.
    Project(ProjectId),
}

/// How current the index is.
#[derive(Clone, Debug)]
pub enum Freshness {
    /// It contains everything that was pushed before the request.
    Current,
    /// The sources could not be read in time.
    Stale {
        /// When they were last read.
        as_of: Option<Timestamp>,
        /// The error.
        reason: String,
    },
}

impl Freshness {
    /// Returns why the index may be stale; `None` if it is current.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::Stale { reason, .. } => Some(reason),
        }
    }

    /// Returns the note of a plan that uses a stale index; `None` if it is current.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let Self::Stale { as_of, reason } = self else {
            return None;
        };
        let age = as_of.map_or_else(
            || "as they were when the server last stopped".to_owned(),
            |at| format!("as they were at {at:.0}"),
        );
        Some(format!(
            "the sources could not be read ({reason}); this plan uses them {age}"
        ))
    }
}

/// Whether the index is current, or the error that prevented it.
pub(crate) type Outcome = Result<(), String>;

/// The queue in which requests wait for a current index. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct CatchUpQueue {
    waiting: Arc<Mutex<CatchUpRequests>>,
    waker: Waker,
}

/// Waiting requests, and the repositories that they want to be read.
#[derive(Default)]
pub(crate) struct CatchUpRequests {
    wanted: BTreeSet<Wanted>,
    requests: Vec<oneshot::Sender<Outcome>>,
}

impl CatchUpRequests {
    /// Returns the repositories that must be read.
    pub(crate) fn wanted(&self) -> &BTreeSet<Wanted> {
        &self.wanted
    }

    /// Completes all requests.
    pub(crate) fn complete(self, outcome: &Outcome) {
        for request in self.requests {
            // The request may have been cancelled.
            let _ = request.send(outcome.clone());
        }
    }
}

impl CatchUpQueue {
    /// Waits until the watching actor has read all earlier changes and the wanted repositories.
    pub(crate) async fn request(&self, wanted: impl IntoIterator<Item = Wanted>) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.wanted.extend(wanted);
            waiting.requests.push(sender);
        }
        self.waker.wake();
        // The watching actor ends only when the server stops.
        let stopping = || Err("the server is stopping".to_owned());
        receiver.await.unwrap_or_else(|_| stopping())
    }

    /// Waits for the next request.
    pub(crate) async fn requested(&self) {
        self.waker.woken().await;
    }

    /// Returns whether requests are waiting.
    pub(crate) fn has_requests(&self) -> bool {
        !self.lock().requests.is_empty()
    }

    /// Takes all waiting requests.
    pub(crate) fn take(&self) -> CatchUpRequests {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, CatchUpRequests> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
