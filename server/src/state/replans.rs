//! Which namespaces have to be planned again, and when: what the sources told, what can affect the newest plan
//! of each namespace, and the schedule. The replanner works it off.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buildbtw_planner::{Footprint, IndexChange};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::db::NamespaceId;
use crate::sources::{SourceEvent, Sources};
use crate::wakers::Inbox;

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Replans {
    events: Inbox<SourceEvent>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What can affect the newest plan of a namespace; anything, where it is not known.
    footprints: HashMap<NamespaceId, Vec<Footprint>>,
    /// When which namespace is planned again.
    due: HashMap<NamespaceId, Instant>,
    /// Those that could not be planned because a source repository has to be repaired first.
    blocked: HashSet<NamespaceId>,
}

impl Replans {
    /// Where the sources tell what happened.
    #[must_use]
    pub fn sender(&self) -> mpsc::UnboundedSender<SourceEvent> {
        self.events.sender()
    }

    /// Remembers what can affect the plan that a namespace has now. What changed while it was made is not
    /// forgotten: `seen` is how often the index of `sources` had changed before.
    pub fn planned(
        &self,
        namespace: NamespaceId,
        footprints: Vec<Footprint>,
        sources: &Sources,
        seen: u64,
    ) {
        self.lock().footprints.insert(namespace, footprints);
        // In this order: a change from now on is held against these footprints.
        if sources.catalog_snapshot().changes() != seen {
            self.events
                .send(SourceEvent::ChangedDuringPlanning(namespace));
        }
    }

    /// Forgets a namespace that is gone. The next one may get its number.
    pub fn forget(&self, namespace: NamespaceId) {
        let mut state = self.lock();
        state.due.remove(&namespace);
        state.blocked.remove(&namespace);
        state.footprints.remove(&namespace);
    }

    /// Waits until the sources tell something.
    pub(crate) async fn receive(&self) -> SourceEvent {
        self.events.receive().await
    }

    /// Whether changes of the index can affect the newest plan of a namespace.
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

    /// Plans a namespace at this time, unless that is due earlier.
    pub(crate) fn add(&self, namespace: NamespaceId, at: Instant) {
        let mut state = self.lock();
        let time = state.due.entry(namespace).or_insert(at);
        *time = at.min(*time);
    }

    /// When the next namespace is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.lock().due.values().min().copied()
    }

    /// Takes the namespaces that are due.
    pub(crate) fn take_due(&self, now: Instant) -> Vec<NamespaceId> {
        let is_due = |_: &NamespaceId, at: &mut Instant| *at <= now;
        let mut state = self.lock();
        state.due.extract_if(is_due).map(|(id, _)| id).collect()
    }

    /// Plans a namespace when a change can affect it, however it follows its members.
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
