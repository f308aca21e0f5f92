//! Deletes unreferenced `.SRCINFO` texts, at the start and every hour.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::outage::{Failure, Outage, Pauses};
use crate::service::unused_srcinfos::delete_unused;
use crate::state::AppState;
use crate::time::Clock;

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

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot delete unreferenced .SRCINFO texts",
            Pauses::constant(EVERY),
            clock,
        )
    }
}

impl Actor for UnusedSrcinfos {
    const NAME: &'static str = "unused .SRCINFO texts";
    type Event = std::convert::Infallible;

    async fn event(&mut self) -> Self::Event {
        std::future::pending().await
    }

    async fn turn(&mut self, _: Cause<Self::Event>) -> Result<Next, Failure> {
        delete_unused(&self.state.database).await?;
        Ok(Next::after(EVERY))
    }
}
