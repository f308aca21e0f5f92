//! Replans namespaces when their sources change: passes on the events of the sources, and waits for gathering times
//! to end.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::replan::{catch_up, process_event, replan_due};
use crate::sources::SourceEvent;
use crate::state::AppState;

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
}

impl OwnOutage for Replanner {
    const TITLE: &'static str = "cannot replan namespaces after changes of their sources";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for Replanner {
    const TASK: BackgroundTask = BackgroundTask::Replanner;
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
        let parts = self.state.planning_parts();
        if !self.has_caught_up {
            catch_up(parts).await?;
            self.has_caught_up = true;
        }
        let processed = match &self.event {
            Some(event) => process_event(parts, event).await,
            None => Ok(()),
        };
        if processed.is_ok() {
            self.event = None;
        }
        if is_timer {
            // Also if the event failed again, which must not delay namespaces that are due.
            replan_due(parts).await?;
        }
        processed?;
        Ok(Next::maybe_at(self.state.replans.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::NamespaceId;
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
