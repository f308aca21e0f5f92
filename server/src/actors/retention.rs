//! Removes old iterations when one has ended.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::retention::prune;
use crate::state::AppState;

/// The actor that removes old iterations.
pub(crate) struct Retention {
    state: AppState,
}

impl Retention {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state }
    }
}

impl OwnOutage for Retention {
    const TITLE: &'static str = "cannot remove old iterations";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(60));
}

impl Actor for Retention {
    const TASK: BackgroundTask = BackgroundTask::Retention;
    type Event = ();

    async fn event(&mut self) {
        self.state.retention.woken().await;
    }

    async fn turn(&mut self, _: Cause<()>) -> Result<Next, Failure> {
        prune(
            self.state.deletion_parts(),
            self.state.config.keep_iterations,
        )
        .await?;
        Ok(Next::event())
    }
}
