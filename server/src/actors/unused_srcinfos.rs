//! Deletes unreferenced `.SRCINFO` texts, at the start and every hour.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::unused_srcinfos::delete_unused;
use crate::state::AppState;

/// The interval.
const EVERY: Duration = Duration::from_secs(3600);

/// The actor that deletes unreferenced `.SRCINFO` texts.
pub(crate) struct UnusedSrcinfos {
    state: AppState,
}

impl UnusedSrcinfos {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state }
    }
}

impl OwnOutage for UnusedSrcinfos {
    const TITLE: &'static str = "cannot delete unreferenced .SRCINFO texts";
    const PAUSES: Pauses = Pauses::constant(EVERY);
}

impl Actor for UnusedSrcinfos {
    const TASK: BackgroundTask = BackgroundTask::UnusedSrcinfos;
    type Event = std::convert::Infallible;

    async fn event(&mut self) -> Self::Event {
        std::future::pending().await
    }

    async fn turn(&mut self, _: Cause<Self::Event>) -> Result<Next, Failure> {
        delete_unused(&self.state.database).await?;
        Ok(Next::after(EVERY))
    }
}
