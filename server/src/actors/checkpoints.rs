//! Checkpoints the database's write-ahead log after many commits, because a commit would wait for it.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::db::Checkpointer;
use crate::outage::{Failure, Outage, Pauses};
use crate::time::Clock;

/// The pause before a retry.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// The actor that checkpoints the write-ahead log.
pub(crate) struct Checkpoints {
    checkpointer: Checkpointer,
}

impl Checkpoints {
    pub(crate) fn new(checkpointer: Checkpointer) -> Self {
        Self { checkpointer }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot checkpoint the database's write-ahead log",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }
}

impl Actor for Checkpoints {
    const NAME: &'static str = "checkpoints";
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
