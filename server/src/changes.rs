//! Change notifications. They carry no state: a woken task reads the database, so that a missed or spurious
//! notification does no harm.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_model::{AttemptId, BuildId};
use tokio::sync::watch;

use crate::db::{IterationId, NamespaceId};
use crate::metrics::builds::{Dispatched, EndedAttempt};

/// What has to be notified after a transaction was committed.
#[derive(Debug, Default)]
#[must_use = "actors that are not notified sleep on"]
pub struct Effects {
    /// Namespaces with new events.
    pub namespaces: BTreeSet<NamespaceId>,
    /// Builds may have become ready.
    pub ready: bool,
    /// A lease was set, so the next expiry may be an earlier one.
    pub leases: bool,
    /// Attempts have to stop: pipelines may have to be cancelled.
    pub stop: bool,
    /// Iterations that ended or were superseded.
    pub ended_iterations: Vec<IterationId>,
    /// Builds whose packages have to be published.
    pub publish: Vec<BuildId>,
    /// Builds that were dispatched, for metrics.
    pub dispatched: Vec<Dispatched>,
    /// Attempts that ended, for metrics.
    pub attempts: Vec<EndedAttempt>,
    /// Attempts whose trace is complete.
    pub traced: Vec<Traced>,
}

/// An attempt whose trace is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traced {
    /// It ended without packages.
    Ended(AttemptId),
    /// Its packages were published for this build.
    Published(BuildId),
}

impl Traced {
    /// Returns the attempt that ended without packages.
    pub(crate) fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Ended(attempt) => Some(*attempt),
            Self::Published(_) => None,
        }
    }

    /// Returns the build whose packages were published.
    pub(crate) fn build(&self) -> Option<BuildId> {
        match self {
            Self::Published(build) => Some(*build),
            Self::Ended(_) => None,
        }
    }
}

/// Wakes followers of events: those of one namespace, and those of all.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    namespaces: Arc<Mutex<HashMap<NamespaceId, watch::Sender<u64>>>>,
    all: watch::Sender<u64>,
}

impl Changes {
    /// Returns a receiver that wakes for changes after this call. Subscribe before reading the database.
    #[must_use]
    pub fn subscribe(&self, namespace: NamespaceId) -> watch::Receiver<u64> {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.retain(|_, sender| sender.receiver_count() > 0);
        namespaces
            .entry(namespace)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    /// Returns a receiver that wakes for changes of any namespace after this call. Subscribe before reading the
    /// database.
    #[must_use]
    pub fn subscribe_to_all(&self) -> watch::Receiver<u64> {
        self.all.subscribe()
    }

    /// Returns a number that differs after every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        *self.all.borrow()
    }

    /// Wakes the followers of these namespaces.
    pub fn notify(&self, changed: impl IntoIterator<Item = NamespaceId>) {
        let mut changed = changed.into_iter().peekable();
        if changed.peek().is_none() {
            return;
        }
        let wake = |sender: &watch::Sender<u64>| {
            sender.send_modify(|version| *version = version.wrapping_add(1));
        };
        // First, so that woken tasks see the new version.
        wake(&self.all);
        let namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for namespace in changed {
            if let Some(sender) = namespaces.get(&namespace) {
                wake(sender);
            }
        }
    }
}
