//! Which namespaces to plan again, and when: events of the sources, the footprints of the newest plans, and
//! the schedule. The replanner processes it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_planner::{Footprint, IndexChange};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::db::NamespaceId;
use crate::sources::{SourceEvent, Sources};
use crate::wakers::Inbox;

/// The schedule of new iterations. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Replans {
    events: Inbox<SourceEvent>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What can affect the newest plan of a namespace; anything if missing.
    footprints: HashMap<NamespaceId, Vec<Footprint>>,
    /// When a namespace is planned again.
    due: HashMap<NamespaceId, Instant>,
    /// Namespaces that cannot be planned until a source repository is fixed.
    blocked: HashSet<NamespaceId>,
}

impl Replans {
    /// Returns the sender for events of the sources.
    #[must_use]
    pub fn sender(&self) -> mpsc::UnboundedSender<SourceEvent> {
        self.events.sender()
    }

    /// Records what can affect the newest plan of a namespace. `seen` is the change count of the index that
    /// the plan was made from; changes since then are checked again.
    pub fn planned(
        &self,
        namespace: NamespaceId,
        footprints: Vec<Footprint>,
        sources: &Sources,
        seen: u64,
    ) {
        self.lock().footprints.insert(namespace, footprints);
        // After the footprints are stored: later changes are compared with these.
        if sources.catalog_snapshot().changes() != seen {
            self.events
                .send(SourceEvent::ChangedDuringPlanning(namespace));
        }
    }

    /// Removes a deleted namespace. Its number may be reused.
    pub fn forget(&self, namespace: NamespaceId) {
        let mut state = self.lock();
        state.due.remove(&namespace);
        state.blocked.remove(&namespace);
        state.footprints.remove(&namespace);
    }

    /// Waits for the next event of the sources.
    pub(crate) async fn receive(&self) -> SourceEvent {
        self.events.receive().await
    }

    /// Returns whether changes of the index can affect the newest plan of a namespace.
    pub(crate) fn is_affected(&self, namespace: NamespaceId, changes: &[IndexChange]) -> bool {
        let state = self.lock();
        state.footprints.get(&namespace).is_none_or(|footprints| {
            footprints.iter().any(|footprint| {
                changes
                    .iter()
                    .any(|change| footprint.is_affected_by(change))
            })
        })
    }

    /// Schedules a namespace for this time, unless it is due earlier.
    pub(crate) fn add(&self, namespace: NamespaceId, at: Instant) {
        let mut state = self.lock();
        let time = state.due.entry(namespace).or_insert(at);
        *time = at.min(*time);
    }

    /// Returns when the next namespace is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.lock().due.values().min().copied()
    }

    /// Takes the due namespaces.
    pub(crate) fn take_due(&self, now: Instant) -> Vec<NamespaceId> {
        let is_due = |_: &NamespaceId, at: &mut Instant| *at <= now;
        let mut state = self.lock();
        state.due.extract_if(is_due).map(|(id, _)| id).collect()
    }

    /// Plans a namespace when a change can affect it, even if it does not follow default branches.
    pub(crate) fn block(&self, namespace: NamespaceId) {
        self.lock().blocked.insert(namespace);
    }

    pub(crate) fn is_blocked(&self, namespace: NamespaceId) -> bool {
        self.lock().blocked.contains(&namespace)
    }

    pub(crate) fn unblock(&self, namespace: NamespaceId) {
        self.lock().blocked.remove(&namespace);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
