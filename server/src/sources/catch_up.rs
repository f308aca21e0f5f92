//! Where requests wait for the index to be as new as the sources.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_model::Pkgbase;
use tokio::sync::{Notify, oneshot};

/// A repository that has to be read even if nothing told that it changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// The one of a pkgbase, wherever it is.
    Pkgbase(Pkgbase),
    /// The one of a project of GitLab's.
    Project(i64),
}

/// Why the index is not as new as the sources, in words; nothing when it is.
pub(super) type Outcome = Result<(), String>;

/// Where requests wait for the index to be as new as the sources.
#[derive(Clone, Default)]
pub(super) struct CatchUpDesk {
    waiting: Arc<Mutex<Waiting>>,
    asked: Arc<Notify>,
}

/// Requests that wait, and what they want to be read.
#[derive(Default)]
pub(super) struct Waiting {
    wanted: BTreeSet<Wanted>,
    requests: Vec<oneshot::Sender<Outcome>>,
}

impl Waiting {
    /// What has to be read in any case.
    pub(super) fn wanted(&self) -> &BTreeSet<Wanted> {
        &self.wanted
    }

    /// Tells everybody how it went.
    pub(super) fn answer(self, outcome: &Outcome) {
        for request in self.requests {
            // Whoever asked may be gone.
            let _ = request.send(outcome.clone());
        }
    }
}

impl CatchUpDesk {
    /// Ends when the watch has looked at all that had changed before, and at what is wanted.
    pub(super) async fn ask(&self, wanted: impl IntoIterator<Item = Wanted>) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.wanted.extend(wanted);
            waiting.requests.push(sender);
        }
        self.asked.notify_one();
        // The watch ends when the server stops.
        let stopping = || Err("the sources are not watched any more".to_owned());
        receiver.await.unwrap_or_else(|_| stopping())
    }

    /// Ends when somebody has asked.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Whether somebody waits.
    pub(super) fn is_waited_at(&self) -> bool {
        !self.lock().requests.is_empty()
    }

    /// Who waits.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
