//! Checkpoints the database's write-ahead log after many commits, because a commit would wait for it.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::db::Checkpointer;
use crate::outage::{Failure, Pauses};

/// The actor that checkpoints the write-ahead log.
pub(crate) struct Checkpoints {
    checkpointer: Checkpointer,
}

impl Checkpoints {
    pub(crate) fn new(checkpointer: Checkpointer) -> Self {
        Self { checkpointer }
    }
}

impl OwnOutage for Checkpoints {
    const TITLE: &'static str = "cannot checkpoint the database's write-ahead log";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(10));
}

impl Actor for Checkpoints {
    const TASK: BackgroundTask = BackgroundTask::Checkpoints;
    type Event = ();

    async fn event(&mut self) {
        self.checkpointer.due().await;
    }

    async fn turn(&mut self, cause: Cause<()>) -> Result<Next, Failure> {
        if cause != Cause::Start {
            self.checkpointer.checkpoint().await?;
        }
        Ok(Next::event())
    }

    async fn stop(&mut self) {
        self.checkpointer.close().await;
    }
}
