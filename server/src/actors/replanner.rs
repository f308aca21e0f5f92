//! Replans namespaces when their sources change. A moved origin leads to a new iteration immediately; changes of other
//! members are gathered first. Every new tree of a member counts, whatever it changes; a commit with a known tree
//! does not. A change that cannot affect a plan costs a lookup.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::Pkgbase;
use buildbtw_planner::IndexChange;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::namespaces::NamespaceRow;
use crate::db::{NamespaceId, iterations, namespaces};
use crate::error::Error;
use crate::outage::{Failure, Outage, Pauses};
use crate::planning::queue::Caller;
use crate::service::new_iteration::{Trigger, new_iteration_after};
use crate::service::refusals;
use crate::sources::SourceEvent;
use crate::state::AppState;
use crate::time::Clock;

/// The pause before a retry after a transient failure of planning.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);
/// The pause before a retry after a failure of the database.
const PAUSE_AFTER_DATABASE_ERROR: Duration = Duration::from_secs(1);

/// The actor that replans namespaces.
pub(crate) struct Replanner {
    state: AppState,
    /// Whether changes were gathered that came while the server was down, or were lost in a panic.
    has_caught_up: bool,
    /// The event that is being processed. After a failure it stays until a retry succeeds: its namespaces would not
    /// be planned otherwise.
    event: Option<SourceEvent>,
}

impl Replanner {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            has_caught_up: false,
            event: None,
        }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot replan namespaces after changes of their sources",
            Pauses::constant(PAUSE_AFTER_DATABASE_ERROR),
            clock,
        )
    }

    async fn process_event(&mut self) -> Result<(), Error> {
        let state = &self.state;
        match &self.event {
            None => {}
            Some(SourceEvent::Indexed(changes)) => gather(state, Some(changes)).await?,
            Some(SourceEvent::Touched(pkgbases)) => check_touched(state, pkgbases).await?,
            Some(SourceEvent::Resynced) => check_all(state).await?,
            Some(SourceEvent::ChangedDuringPlanning(namespace)) => {
                gather_for(state, *namespace).await?;
            }
        }
        self.event = None;
        Ok(())
    }
}

impl Actor for Replanner {
    const NAME: &'static str = "replanner";
    // Later events wait for the one that failed.
    const TAKES_EVENTS_IN_OUTAGE: bool = false;
    type Event = SourceEvent;

    async fn event(&mut self) -> SourceEvent {
        self.state.replans.receive().await
    }

    async fn turn(&mut self, cause: Cause<SourceEvent>) -> Result<Next, Failure> {
        let is_timer = matches!(cause, Cause::Timer);
        if let Cause::Event(event) = cause {
            self.event = Some(event);
        }
        if !self.has_caught_up {
            gather(&self.state, None).await?;
            self.has_caught_up = true;
        }
        let processed = self.process_event().await;
        if is_timer {
            // Also if the event failed again, which must not delay namespaces that are due.
            replan_due(&self.state).await?;
        }
        processed?;
        Ok(Next::maybe_at(self.state.replans.next()))
    }
}

/// Starts the gathering time of every namespace that changes may affect; `None` affects all.
async fn gather(state: &AppState, changes: Option<&[IndexChange]>) -> Result<(), Error> {
    for namespace in namespaces::all(state.database.read()).await? {
        let pause = if state.replans.is_blocked(namespace.id) {
            Some(0)
        } else {
            namespace.follow_default_s
        };
        let (Some(seconds), None) = (pause, namespace.held_at) else {
            continue;
        };
        if changes.is_none_or(|changes| state.replans.is_affected(namespace.id, changes)) {
            let at = Instant::now() + Duration::from_secs(seconds.into());
            state.replans.unblock(namespace.id);
            state.replans.add(namespace.id, at);
        }
    }
    Ok(())
}

/// Starts the gathering time of a namespace after unknown changes.
async fn gather_for(state: &AppState, namespace: NamespaceId) -> Result<(), Error> {
    let found = namespaces::by_id(state.database.read(), namespace).await?;
    if let Some(namespace) = found.filter(|namespace| namespace.held_at.is_none())
        && let Some(seconds) = namespace.follow_default_s
    {
        let at = Instant::now() + Duration::from_secs(seconds.into());
        state.replans.add(namespace.id, at);
    }
    Ok(())
}

async fn replan_due(state: &AppState) -> Result<(), Error> {
    let mut failed = Ok(());
    for id in state.replans.take_due(Instant::now()) {
        match namespaces::by_id(state.database.read(), id).await {
            Ok(Some(namespace)) => replan(state, &namespace).await,
            // It was deleted meanwhile.
            Ok(None) => {}
            Err(error) => {
                state.replans.add(id, Instant::now() + PAUSE_AFTER_ERROR);
                failed = Err(error);
            }
        }
    }
    failed?;
    Ok(())
}

async fn check_touched(state: &AppState, pkgbases: &BTreeSet<Pkgbase>) -> Result<(), Error> {
    for pkgbase in pkgbases {
        for namespace in namespaces::with_origin(state.database.read(), pkgbase).await? {
            check_origins(state, &namespace).await?;
        }
    }
    Ok(())
}

async fn check_all(state: &AppState) -> Result<(), Error> {
    for namespace in namespaces::all(state.database.read()).await? {
        check_origins(state, &namespace).await?;
    }
    Ok(())
}

/// Replans a namespace if a ref of its origins has other files than in its newest iteration.
async fn check_origins(state: &AppState, namespace: &NamespaceRow) -> Result<(), Error> {
    let reader = state.database.read();
    let Some(newest) = iterations::newest(reader, namespace.id).await? else {
        return Ok(());
    };
    if namespace.held_at.is_some() {
        // `resume` compares its sources.
        return Ok(());
    }
    for origin in iterations::fixed_origins(reader, newest.id).await? {
        match state.sources.newer_commit(&origin).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                replan(state, namespace).await;
                return Ok(());
            }
            Err(error) if error.is_temporary() => {
                state
                    .replans
                    .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            }
            // A branch that was deleted after its merge does not end its iteration.
            Err(error) => {
                tracing::debug!(
                    namespace.name = namespace.name.as_str(),
                    origin = %origin.changeset,
                    error = error.to_string(),
                    "cannot resolve an origin"
                );
            }
        }
    }
    Ok(())
}

async fn replan(state: &AppState, namespace: &NamespaceRow) {
    if namespace.held_at.is_some() {
        // `resume` compares its sources.
        return;
    }
    let before = match iterations::newest(state.database.read(), namespace.id).await {
        Ok(Some(newest)) => newest,
        // It is being deleted.
        Ok(None) => return,
        Err(error) => {
            let error = error.to_string();
            tracing::error!(error, "cannot read the newest iteration of a namespace");
            state
                .replans
                .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
    };
    let trigger = Trigger::SourcesChanged;
    if let Err(error) = new_iteration_after(
        state.planning_parts(),
        namespace,
        &before,
        trigger,
        Caller::Server,
    )
    .await
    {
        tracing::warn!(
            namespace.name = namespace.name.as_str(),
            error = error.to_string(),
            "sources changed, but planning a new iteration failed"
        );
        // Only temporary failures are retried; a refusal stays until a source changes.
        if error.is_temporary() {
            state
                .replans
                .add(namespace.id, Instant::now() + PAUSE_AFTER_ERROR);
            return;
        }
        if error.is_broken_source() {
            state.replans.block(namespace.id);
        }
        if let Err(error) = refusals::record(
            &state.database,
            state.announcer(),
            namespace.id,
            before.id,
            error,
        )
        .await
        {
            tracing::error!(
                error = error.to_string(),
                "cannot record why a namespace was not replanned"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestState, UNREADABLE_NAMESPACE};

    #[tokio::test]
    async fn processes_event_again_whose_turn_failed() {
        let state = TestState::new().await;
        let mut replanner = Replanner::new(state.clone());
        assert_eq!(replanner.turn(Cause::Start).await.unwrap(), Next::event());
        state.sql(UNREADABLE_NAMESPACE).await;
        let event = SourceEvent::ChangedDuringPlanning(NamespaceId(1));
        assert!(replanner.turn(Cause::Event(event)).await.is_err());
        assert!(replanner.turn(Cause::Timer).await.is_err());
        assert_eq!(state.replans.next(), None);
        state.sql("update namespace set name = 'bump'").await;
        replanner.turn(Cause::Timer).await.unwrap();
        assert!(state.replans.next().is_some());
    }
}
