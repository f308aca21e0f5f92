//! Requeues builds whose lease has expired.

use std::time::Duration;

use buildbtw_model::BackgroundTask;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::outage::{Failure, Pauses};
use crate::service::expire_leases::{expire_leases, renew_leases};
use crate::state::AppState;
use crate::time::Jumps;

/// The maximum time between two checks. Leases expire by the wall clock, which may jump forward, for example after
/// a suspend; an expiry in such a jump may be missing from the check's result.
const CHECK_AGAIN: Duration = Duration::from_secs(5);

/// The actor that expires leases.
pub(crate) struct Leases {
    state: AppState,
    /// Whether the last check failed, so that leases must be renewed before any expires.
    was_down: bool,
    jumps: Jumps,
}

impl Leases {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            jumps: state.clock.jumps(),
            state,
            was_down: false,
        }
    }
}

impl OwnOutage for Leases {
    const TITLE: &'static str = "cannot read leases";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for Leases {
    const TASK: BackgroundTask = BackgroundTask::Leases;
    type Event = ();

    async fn event(&mut self) {
        tokio::select! {
            () = self.state.leases.woken() => {}
            () = self.jumps.next() => {}
        }
    }

    async fn turn(&mut self, _: Cause<()>) -> Result<Next, Failure> {
        if std::mem::replace(&mut self.was_down, true) {
            // While nothing could be written, for example on a full disk, heartbeats were refused: a missing
            // one does not prove that a worker is lost.
            renew_leases(self.state.attempt_parts()).await?;
        }
        let at = self.state.clock.now();
        let next = expire_leases(self.state.attempt_parts(), at).await?;
        self.was_down = false;
        let left = next.map(|next| next.since(self.state.clock.now()) + Duration::from_millis(1));
        Ok(Next::after(
            left.map_or(CHECK_AGAIN, |left| left.min(CHECK_AGAIN)),
        ))
    }
}
