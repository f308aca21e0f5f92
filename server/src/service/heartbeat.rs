//! A worker's heartbeat: renews the lease; the first one starts the attempt.

use buildbtw_model::api::HeartbeatResponse;
use buildbtw_model::{AttemptId, AttemptStatus};

use crate::db::{TokenId, attempts, builds, workers};
use crate::error::Error;
use crate::state::AppState;

use super::attempt_guard::{active_attempt, attempt_ended};
use super::transitions::Transition;

/// Renews the lease of an attempt.
///
/// # Errors
/// When the attempt has ended or belongs to another token.
pub async fn heartbeat(
    state: &AppState,
    token: TokenId,
    id: AttemptId,
) -> Result<HeartbeatResponse, Error> {
    let _turn = state.reports.turn().await?;
    let attempt = active_attempt(&state.database, token, id).await?;
    let mut transition = Transition::begin(&state.database).await?;
    let lease = state.clock.now() + state.config.lease;
    if !attempts::renew_lease(transition.tx(), id, lease).await? {
        transition.undo().await?;
        return Err(attempt_ended(id));
    }
    workers::touch(transition.tx(), &attempt.worker).await?;
    // An attempt is never queued again.
    if attempt.status == AttemptStatus::Queued
        && attempts::start(transition.tx(), id).await?
        && let Some(build) = builds::by_id(transition.connection(), attempt.build).await?
    {
        transition.start(&build, id).await?;
    }
    let effects = transition.commit().await?;
    state.announce(effects);
    Ok(HeartbeatResponse {
        lease_s: u32::try_from(state.config.lease.as_secs()).unwrap_or(u32::MAX),
        cancel: attempt.cancel_requested,
    })
}
