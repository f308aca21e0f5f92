//! A worker's heartbeat: renews the lease; the first one starts the attempt.

use buildbtw_model::AttemptId;
use buildbtw_model::api::{HeartbeatResponse, ProblemKind};

use crate::db::attempts::AttemptRow;
use crate::db::{Database, TokenId, attempts, builds, workers};
use crate::error::{Error, Refusal};
use crate::state::AppState;

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
    if attempts::start(transition.tx(), id).await?
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

/// Returns the attempt with this id, ended or not, if this token may report on it.
///
/// # Errors
/// When there is none, or it was claimed with another token.
pub(crate) async fn own_attempt(
    database: &Database,
    token: TokenId,
    id: AttemptId,
) -> Result<AttemptRow, Error> {
    let attempt = attempts::by_id(database.read(), id)
        .await?
        .ok_or_else(|| Error::not_found(format!("attempt {id}")))?;
    if attempt.token == token {
        Ok(attempt)
    } else {
        Err(Error::refused(
            ProblemKind::Forbidden,
            "this attempt was claimed with another token",
        ))
    }
}

/// Like [`own_attempt`], but refuses attempts that have ended.
///
/// # Errors
/// When there is none, it was claimed with another token, or has ended.
pub(crate) async fn active_attempt(
    database: &Database,
    token: TokenId,
    id: AttemptId,
) -> Result<AttemptRow, Error> {
    let attempt = own_attempt(database, token, id).await?;
    if attempt.status.is_final() {
        Err(attempt_ended(id))
    } else {
        Ok(attempt)
    }
}

/// Creates the refusal of a report on an attempt that has ended.
pub(crate) fn attempt_ended(id: AttemptId) -> Error {
    Refusal::new(ProblemKind::AttemptEnded, format!("attempt {id} has ended"))
        .hint("its lease expired, it was cancelled, or its outcome has already been reported")
        .into()
}
