//! Watches the space of the disk. A shortage is an outage, which the log, pages and the command line show; what waits
//! for its end is woken.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::disk::PAUSE_DURING_SHORTAGE;
use crate::outage::{Failure, Pauses};
use crate::state::AppState;

/// The interval. Requests measure the disk themselves.
const EVERY: Duration = Duration::from_secs(15);

/// The actor that watches the disk.
pub(crate) struct DiskReserve {
    state: AppState,
    /// Whether the last measurement found a shortage.
    was_short: bool,
}

impl DiskReserve {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            was_short: false,
        }
    }
}

impl OwnOutage for DiskReserve {
    const TITLE: &'static str = "accepting no uploads, namespaces or claims";
    const PAUSES: Pauses = Pauses::constant(PAUSE_DURING_SHORTAGE);
}

impl Actor for DiskReserve {
    const TASK: BackgroundTask = BackgroundTask::DiskReserve;
    type Event = ();

    async fn event(&mut self) {
        self.state.disk.shortage_found().await;
    }

    async fn turn(&mut self, _: Cause<()>) -> Result<Next, Failure> {
        let state = &self.state;
        if let Some(shortage) = state.disk.shortage()? {
            self.was_short = true;
            return Err(shortage.failure());
        }
        if std::mem::take(&mut self.was_short) {
            state.claims.wake();
            if let Some(pipelines) = &state.pipelines {
                pipelines.wake();
            }
        }
        Ok(Next::after(EVERY))
    }
}
