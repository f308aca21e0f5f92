//! Records the traces of attempts that have ended.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::record_traces::record_traces;
use crate::state::AppState;
use crate::state::trace_recorder::TraceRecorder;

/// The actor that records traces.
pub(crate) struct TraceRecording {
    state: AppState,
    recorder: TraceRecorder,
}

impl TraceRecording {
    pub(crate) fn new(state: AppState, recorder: TraceRecorder) -> Self {
        Self { state, recorder }
    }
}

impl OwnOutage for TraceRecording {
    const TITLE: &'static str = "cannot record traces";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(5));
}

impl Actor for TraceRecording {
    const TASK: BackgroundTask = BackgroundTask::TraceRecording;
    type Event = ();

    async fn event(&mut self) {
        self.recorder.due.woken().await;
    }

    async fn turn(&mut self, _: Cause<()>) -> Result<Next, Failure> {
        record_traces(&self.state.database, &self.recorder).await?;
        Ok(Next::event())
    }
}
