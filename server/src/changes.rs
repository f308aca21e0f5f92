//! Tells those who wait that something changed. Carries no state: whoever is woken reads the
//! database, so that a missed or spurious call does no harm.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_model::BuildId;
use tokio::sync::watch;

use crate::db::{IterationId, NamespaceId};

/// What a committed transaction has to be told about.
#[derive(Debug, Default)]
pub struct Effects {
    /// Namespaces with new events.
    pub namespaces: BTreeSet<NamespaceId>,
    /// Builds may have become ready.
    pub ready: bool,
    /// Leases were given, so the next one to run out may be another.
    pub leases: bool,
    /// Attempts are to stop: pipelines may have to be cancelled.
    pub stop: bool,
    /// Iterations that ended, or whose place another one took.
    pub ended: Vec<IterationId>,
    /// Builds that have packages now and wait for their repository to list them.
    pub publish: Vec<BuildId>,
}

/// Wakes whoever waits for the events of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    namespaces: Arc<Mutex<HashMap<NamespaceId, watch::Sender<u64>>>>,
}

impl Changes {
    /// Waits on the result for changes after this call. Subscribe first, read the database then.
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

    /// Tells those who wait for these namespaces.
    pub fn notify(&self, changed: impl IntoIterator<Item = NamespaceId>) {
        let namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for namespace in changed {
            if let Some(sender) = namespaces.get(&namespace) {
                sender.send_modify(|version| *version = version.wrapping_add(1));
            }
        }
    }
}
