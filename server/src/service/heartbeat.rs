//! A worker's heartbeat: renews the lease; the first one starts the attempt.

use buildbtw_model::api::{HeartbeatResponse, WorkerLoad};
use buildbtw_model::{AttemptId, AttemptStatus, saturating};

use crate::db::{TokenId, attempts, builds, worker_profiles, workers};
use crate::error::Error;
use crate::state::parts::AttemptParts;

use super::attempt_guard::{active_attempt, attempt_ended};
use super::transitions::Transition;

/// Renews the lease of an attempt, and records how busy its worker is.
///
/// # Errors
/// When the attempt has ended or belongs to another token.
pub async fn heartbeat(
    parts: AttemptParts<'_>,
    token: TokenId,
    id: AttemptId,
    load: Option<&WorkerLoad>,
) -> Result<HeartbeatResponse, Error> {
    let _permit = parts.reports.acquire().await?;
    let attempt = active_attempt(parts.database, token, id).await?;
    let mut tx = parts.database.write().await?;
    let lease = parts.database.clock().now() + parts.config.lease;
    if !attempts::renew_lease(&mut tx, id, lease).await? {
        tx.undo().await?;
        return Err(attempt_ended(id));
    }
    workers::touch(&mut tx, &attempt.worker).await?;
    if let Some(load) = load {
        worker_profiles::record_load(&mut tx, &attempt.worker, load).await?;
    }
    // An attempt is never queued again.
    let is_first = attempt.status == AttemptStatus::Queued && attempts::start(&mut tx, id).await?;
    let started = match is_first {
        true => builds::by_id(tx.connection(), attempt.build).await?,
        false => None,
    };
    let mut transition = Transition::of(tx);
    if let Some(build) = started {
        transition.start(&build, id).await?;
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    Ok(HeartbeatResponse {
        lease_s: saturating(parts.config.lease.as_secs()),
        cancel: attempt.cancel_requested,
    })
}
