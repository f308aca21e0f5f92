//! Measures the data folder, at the start and every few minutes.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::outage::{Failure, Outage, Pauses};
use crate::service::storage::measure_storage;
use crate::state::AppState;
use crate::time::Clock;

/// The interval.
const EVERY: Duration = Duration::from_secs(300);

/// The actor that measures the data folder.
pub(crate) struct Storage {
    state: AppState,
}

impl Storage {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot measure the data folder",
            Pauses::constant(EVERY),
            clock,
        )
    }
}

impl Actor for Storage {
    const NAME: &'static str = "storage";
    const IS_INTERRUPTIBLE: bool = true;
    type Event = std::convert::Infallible;

    async fn event(&mut self) -> Self::Event {
        std::future::pending().await
    }

    async fn turn(&mut self, _: Cause<Self::Event>) -> Result<Next, Failure> {
        measure_storage(&self.state.disk, &self.state.metrics).await?;
        Ok(Next::after(EVERY))
    }
}
