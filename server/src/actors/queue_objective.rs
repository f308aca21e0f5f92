//! Watches the objective of the queue, a few times within its limit.

use std::time::Duration;

use buildbtw_model::BackgroundTask;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service;
use crate::state::AppState;

/// How many checks are made within the limit, so that a build counts at most a quarter of it too late.
const CHECKS: u32 = 4;
/// The longest pause between two checks.
const LONGEST: Duration = Duration::from_secs(15);

/// The actor that watches the objective.
pub(crate) struct QueueObjective {
    state: AppState,
    objective: service::queue_objective::QueueObjective,
    last: Instant,
}

impl QueueObjective {
    pub(crate) fn new(state: AppState) -> Self {
        let limit = state.config.queue_objective;
        Self {
            state,
            objective: service::queue_objective::QueueObjective::new(limit),
            last: Instant::now(),
        }
    }
}

impl OwnOutage for QueueObjective {
    const TITLE: &'static str = "cannot check the queue objective";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(5));
}

impl Actor for QueueObjective {
    const TASK: BackgroundTask = BackgroundTask::QueueObjective;
    type Event = std::convert::Infallible;

    async fn event(&mut self) -> Self::Event {
        std::future::pending().await
    }

    async fn turn(&mut self, _: Cause<Self::Event>) -> Result<Next, Failure> {
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.last, now);
        let parts = self.state.monitoring_parts();
        self.objective.watch(parts, elapsed).await?;
        let pause = self.state.config.queue_objective / CHECKS;
        Ok(Next::after(pause.min(LONGEST)))
    }
}
