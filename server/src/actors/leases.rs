//! Requeues the builds of workers whose lease has run out.

use std::time::Duration;

use super::runner::{Actor, Cause, Next};
use crate::db::attempts;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::expire_leases::{expire_leases, renew_leases};
use crate::state::AppState;

/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest time between two checks: leases expire by the wall clock, which may jump forward, as it
/// does on a machine that was suspended. A lease that such a jump lets expire during a check is none that
/// the check returns.
const CHECK_AGAIN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Leases {
    state: AppState,
    /// Whether leases have to be renewed before any may expire.
    was_down: bool,
}

impl Leases {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            was_down: false,
        }
    }

    pub(crate) fn outage() -> Outage {
        Outage::new("cannot read leases", Pauses::constant(PAUSE_AFTER_ERROR))
    }
}

impl Actor for Leases {
    const NAME: &'static str = "leases";
    type Event = ();

    async fn event(&mut self) {
        self.state.leases.woken().await;
    }

    async fn turn(&mut self, _: Cause<()>) -> Result<Next, Failure> {
        if std::mem::replace(&mut self.was_down, true) {
            // While nothing could be written, for example because the disk was full, heartbeats were
            // refused: that is no sign that a worker is gone.
            renew_leases(&self.state).await?;
        }
        let at = self.state.clock.now();
        expire_leases(&self.state, at).await?;
        let next = attempts::next_expiry(self.state.database.read(), at).await?;
        self.was_down = false;
        let left = next.map(|next| next.since(self.state.clock.now()) + Duration::from_millis(1));
        Ok(Next::after(
            left.map_or(CHECK_AGAIN, |left| left.min(CHECK_AGAIN)),
        ))
    }
}
