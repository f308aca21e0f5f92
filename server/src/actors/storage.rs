//! Measures the data folder, at the start and every few minutes.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::storage::measure_storage;
use crate::state::AppState;

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
}

impl OwnOutage for Storage {
    const TITLE: &'static str = "cannot measure the data folder";
    const PAUSES: Pauses = Pauses::constant(EVERY);
}

impl Actor for Storage {
    const TASK: BackgroundTask = BackgroundTask::Storage;
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
