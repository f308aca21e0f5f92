//! Removes old iterations when one has ended.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::outage::{Failure, Outage, Pauses};
use crate::service::retention::prune;
use crate::state::AppState;
use crate::time::Clock;

/// The pause before a retry.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(60);

/// The actor that removes old iterations.
pub(crate) struct Retention {
    state: AppState,
}

impl Retention {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot remove old iterations",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }
}

impl Actor for Retention {
    const NAME: &'static str = "retention";
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
