//! Follows the sources: an origin that moves leads to a new iteration at once; changes of other
//! packages of a graph are gathered first. Every new tree of a member counts, whatever it changes; a commit
//! with the same tree is nothing new. Changes that cannot affect a plan cost a lookup.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buildbtw_model::Pkgbase;
use buildbtw_planner::{Footprint, IndexChange};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::namespaces::NamespaceRow;
use crate::db::{NamespaceId, iterations, namespaces, unsigned};
use crate::error::Error;
use crate::inbox::Inbox;
use crate::sources::{SourceEvent, Sources};

use super::new_iteration::{Trigger, new_iteration_after};
use super::planning::Caller;
use super::refusals;

/// When planning is tried again that failed through no fault of the sources.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// Decides when namespaces are planned again.
#[derive(Clone, Default)]
pub struct Follower {
    inbox: Inbox<SourceEvent>,
    /// What can affect the newest plan of a namespace; anything, where it is not known.
    footprints: Arc<Mutex<HashMap<NamespaceId, Vec<Footprint>>>>,
    due: Due,
}

/// When which namespace is planned again.
#[derive(Clone, Default)]
struct Due(Arc<Mutex<Schedule>>);

#[derive(Default)]
struct Schedule {
    times: HashMap<NamespaceId, Instant>,
    /// Those that could not be planned because a source repository has to be repaired first.
    blocked: HashSet<NamespaceId>,
}

impl Due {
    /// Plans a namespace at this time, unless that is due earlier.
    fn add(&self, namespace: NamespaceId, at: Instant) {
        let times = &mut self.lock().times;
        let time = times.entry(namespace).or_insert(at);
        *time = at.min(*time);
    }

    /// When the next namespace is due.
    fn next(&self) -> Option<Instant> {
        self.lock().times.values().min().copied()
    }

    /// Takes the namespaces that are due.
    fn take_ready(&self, now: Instant) -> Vec<NamespaceId> {
        let ready = |_: &NamespaceId, at: &mut Instant| *at <= now;
        self.lock()
            .times
            .extract_if(ready)
            .map(|(id, _)| id)
            .collect()
    }

    /// Plans a namespace when a change can affect it, however it follows its members.
    fn block(&self, namespace: NamespaceId) {
        self.lock().blocked.insert(namespace);
    }

    fn is_blocked(&self, namespace: NamespaceId) -> bool {
        self.lock().blocked.contains(&namespace)
    }

    fn unblock(&self, namespace: NamespaceId) {
        self.lock().blocked.remove(&namespace);
    }

    fn forget(&self, namespace: NamespaceId) {
        let mut schedule = self.lock();
        schedule.times.remove(&namespace);
        schedule.blocked.remove(&namespace);
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// Where the sources tell what happened.
    #[must_use]
    pub fn sender(&self) -> mpsc::UnboundedSender<SourceEvent> {
        self.inbox.sender()
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
        self.footprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace, footprints);
        // In this order: a change from now on is held against these footprints.
        if sources.catalog_snapshot().changes() != seen {
            // The receiver is gone only when the server stops.
            let _ = self.sender().send(SourceEvent::Missed(namespace));
        }
    }

    /// Forgets a namespace that is gone. The next one may get its number.
    pub fn forget(&self, namespace: NamespaceId) {
        self.due.forget(namespace);
        let mut known = self
            .footprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.remove(&namespace);
    }

    fn is_affected(&self, namespace: NamespaceId, changes: &[IndexChange]) -> bool {
        let known = self
            .footprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(&namespace).is_none_or(|footprints| {
            footprints.iter().any(|footprint| {
                changes
                    .iter()
                    .any(|change| footprint.is_affected_by(change))
            })
        })
    }

    /// Follows the sources until cancelled. Runs once.
    pub async fn run(self, state: AppState, cancel: CancellationToken) {
        let Some(mut receiver) = self.inbox.take() else {
            return;
        };
        // What was being gathered when the last run stopped is not known any more.
        if let Err(error) = self.gather(&state, None).await {
            tracing::error!(error = error.to_string(), "cannot look at the namespaces");
        }
        loop {
            let next = self.due.next();
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let handled = tokio::select! {
                () = cancel.cancelled() => return,
                () = pause => self.plan_due(&state).await,
                event = receiver.recv() => match event {
                    None => return,
                    Some(SourceEvent::Indexed(changes)) => {
                        self.gather(&state, Some(&changes)).await
                    }
                    Some(SourceEvent::Touched(pkgbases)) => {
                        check_touched(&state, &self.due, &pkgbases).await
                    }
                    Some(SourceEvent::Swept) => check_all(&state, &self.due).await,
                    Some(SourceEvent::Missed(namespace)) => {
                        self.gather_for(&state, namespace).await
                    }
                },
            };
            if let Err(error) = handled {
                tracing::error!(error = error.to_string(), "cannot follow the sources");
            }
        }
    }

    /// Starts the time in which changes are gathered, for every namespace they can affect.
    async fn gather(&self, state: &AppState, changes: Option<&[IndexChange]>) -> Result<(), Error> {
        for namespace in namespaces::all(state.database.read()).await? {
            let pause = if self.due.is_blocked(namespace.id) {
                Some(0)
            } else {
                namespace.follow_default_s
            };
            let (Some(seconds), None) = (pause, namespace.held_at) else {
                continue;
            };
            if changes.is_none_or(|changes| self.is_affected(namespace.id, changes)) {
                let at = Instant::now() + Duration::from_secs(unsigned(seconds));
                self.due.unblock(namespace.id);
                self.due.add(namespace.id, at);
            }
        }
        Ok(())
    }

    /// The same for one namespace, of whose changes it is not known what they affect.
    async fn gather_for(&self, state: &AppState, namespace: NamespaceId) -> Result<(), Error> {
        let found = namespaces::by_id(state.database.read(), namespace).await?;
        if let Some(namespace) = found.filter(|namespace| namespace.held_at.is_none())
            && let Some(seconds) = namespace.follow_default_s
        {
            let at = Instant::now() + Duration::from_secs(unsigned(seconds));
            self.due.add(namespace.id, at);
        }
        Ok(())
    }

    async fn plan_due(&self, state: &AppState) -> Result<(), Error> {
        for id in self.due.take_ready(Instant::now()) {
            // It may be deleted by now.
            if let Some(namespace) = namespaces::by_id(state.database.read(), id).await? {
                plan_again(state, &self.due, &namespace).await;
            }
        }
        Ok(())
    }
}

async fn check_touched(
    state: &AppState,
    due: &Due,
    pkgbases: &BTreeSet<Pkgbase>,
) -> Result<(), Error> {
    for pkgbase in pkgbases {
        for namespace in namespaces::with_origin(state.database.read(), pkgbase).await? {
            check_origins(state, due, &namespace).await?;
        }
    }
    Ok(())
}

async fn check_all(state: &AppState, due: &Due) -> Result<(), Error> {
    for namespace in namespaces::all(state.database.read()).await? {
        check_origins(state, due, &namespace).await?;
    }
    Ok(())
}

/// Plans a namespace again if a ref of its origins names other files than in its newest
/// iteration.
async fn check_origins(state: &AppState, due: &Due, namespace: &NamespaceRow) -> Result<(), Error> {
    let reader = state.database.read();
    let Some(newest) = iterations::newest(reader, namespace.id).await? else {
        return Ok(());
    };
    if namespace.held_at.is_some() {
        // Resuming it looks at its sources.
        return Ok(());
    }
    for origin in iterations::fixed_origins(reader, newest.id).await? {
        match state.sources.newer_commit(&origin).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                plan_again(state, due, namespace).await;
                return Ok(());
            }
            Err(error) if error.is_temporary() => {
                due.add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            }
            // A branch that was deleted after it was merged ends nothing: its iteration goes on.
            Err(error) => {
                tracing::debug!(
                    namespace.name = namespace.name.as_str(),
                    origin = %origin.changeset,
                    error = error.to_string(),
                    "an origin cannot be resolved"
                );
            }
        }
    }
    Ok(())
}

async fn plan_again(state: &AppState, due: &Due, namespace: &NamespaceRow) {
    if namespace.held_at.is_some() {
        // Resuming it looks at its sources.
        return;
    }
    let before = match iterations::newest(state.database.read(), namespace.id).await {
        Ok(Some(newest)) => newest,
        // It is being deleted.
        Ok(None) => return,
        Err(error) => {
            let error = error.to_string();
            tracing::error!(error, "cannot look at the newest iteration of a namespace");
            due.add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
    };
    let trigger = Trigger::SourcesChanged;
    if let Err(error) =
        new_iteration_after(state, namespace, &before, trigger, Caller::Server).await
    {
        tracing::warn!(
            namespace.name = namespace.name.as_str(),
            error = error.to_string(),
            "sources changed, but no new iteration could be planned"
        );
        // What is refused stays refused until something changes; a full disk does not stay full, and
        // a GitLab not away.
        if error.is_temporary() {
            due.add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
        if error.is_broken_source() {
            due.block(namespace.id);
        }
        if let Err(error) = refusals::record(state, namespace.id, before.id, error).await {
            tracing::error!(
                error = error.to_string(),
                "cannot record why a namespace was not planned again"
            );
        }
    }
}
