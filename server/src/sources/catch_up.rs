//! Where requests wait for the index to be as new as the sources.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::{Pkgbase, ProjectId};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::wakers::Waker;

/// A repository that has to be read even if nothing told that it changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    /// The one of a pkgbase, wherever it is.
    Pkgbase(Pkgbase),
    /// The one of a project of GitLab's.
    Project(ProjectId),
}

/// How new the index is.
#[derive(Clone, Debug)]
pub enum Freshness {
    /// It holds everything that was pushed before somebody asked.
    Current,
    /// The sources could not be read in time.
    Stale {
        /// When they were last read.
        as_of: Option<Timestamp>,
        /// Why not now.
        reason: String,
    },
}

impl Freshness {
    /// Why the index may lack something; nothing when it does not.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Current => None,
            Self::Stale { reason, .. } => Some(reason),
        }
    }

    /// What a plan made of an older index says about itself; nothing when it is not older.
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

/// Why the index is not as new as the sources, in words; nothing when it is.
pub(crate) type Outcome = Result<(), String>;

/// Where requests wait for the index to be as new as the sources.
#[derive(Clone, Default)]
pub(crate) struct CatchUpQueue {
    waiting: Arc<Mutex<CatchUpRequests>>,
    waker: Waker,
}

/// Requests that wait, and what they want to be read.
#[derive(Default)]
pub(crate) struct CatchUpRequests {
    wanted: BTreeSet<Wanted>,
    requests: Vec<oneshot::Sender<Outcome>>,
}

impl CatchUpRequests {
    /// What has to be read in any case.
    pub(crate) fn wanted(&self) -> &BTreeSet<Wanted> {
        &self.wanted
    }

    /// Tells everybody how it went.
    pub(crate) fn complete(self, outcome: &Outcome) {
        for request in self.requests {
            // Whoever asked may be gone.
            let _ = request.send(outcome.clone());
        }
    }
}

impl CatchUpQueue {
    /// Ends when the watch has looked at all that had changed before, and at what is wanted.
    pub(crate) async fn request(&self, wanted: impl IntoIterator<Item = Wanted>) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.wanted.extend(wanted);
            waiting.requests.push(sender);
        }
        self.waker.wake();
        // The watch ends when the server stops.
        let stopping = || Err("the server is stopping".to_owned());
        receiver.await.unwrap_or_else(|_| stopping())
    }

    /// Ends when somebody has asked.
    pub(crate) async fn requested(&self) {
        self.waker.woken().await;
    }

    /// Whether somebody waits.
    pub(crate) fn has_requests(&self) -> bool {
        !self.lock().requests.is_empty()
    }

    /// Who waits.
    pub(crate) fn take(&self) -> CatchUpRequests {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, CatchUpRequests> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
