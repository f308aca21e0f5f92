//! Gives builds back to the queue whose workers were not heard of in time.

use std::time::Instant;

use buildbtw_model::AttemptId;

use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::state::AppState;
use crate::time::Millis;

use super::report_outcome::remove_uploads;
use super::transitions::Transition;

/// Marks every attempt as lost whose lease had run out by a time. Where GitLab knows whether the job of
/// one still runs, it is asked first: why a job ended decides whether its build is tried again.
///
/// # Errors
/// When the database cannot be used.
pub async fn expire_leases(state: &AppState, at: Millis) -> Result<(), Error> {
    let mut expired = attempts::expired(state.database.read(), at).await?;
    if let Some(on_gitlab) = &state.pipelines
        && !expired.is_empty()
    {
        let asked = pipelines::expired(state.database.read()).await?;
        let is_asked = |id| asked.iter().any(|row| row.attempt == id);
        expired.retain(|attempt| !is_asked(attempt.id));
        if !asked.is_empty() {
            on_gitlab.stop();
        }
    }
    for attempt in expired {
        expire(state, attempt.id).await?;
    }
    Ok(())
}

/// Marks an attempt as lost if its lease has run out. Returns whether it has.
///
/// # Errors
/// When the database cannot be used.
pub async fn expire(state: &AppState, attempt: AttemptId) -> Result<bool, Error> {
    let asked = Instant::now();
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    if asked.elapsed() > state.config.lease / 3 {
        // Heartbeats had to wait as long behind some large write.
        drop(transition);
        renew_leases(state).await?;
        return Ok(false);
    }
    // A heartbeat may have come between.
    let current = attempts::by_id(transition.connection(), attempt).await?;
    let Some(current) = current.filter(|row| row.lease_expires_at <= state.clock.now()) else {
        return Ok(false);
    };
    let build = builds::by_id(transition.connection(), current.build).await?;
    let message = format!("worker {} was not heard of again", current.worker);
    let Some(build) = build else {
        return Ok(false);
    };
    if !transition.lost(&build, &current, &message).await? {
        return Ok(false);
    }
    let conclusion = state.logs.conclude(attempt).await;
    let effects = transition.commit().await?;
    state.announce(effects);
    tracing::warn!(
        attempt.id = %current.id,
        worker.name = current.worker.as_str(),
        build.pkgbase = build.pkgbase.as_str(),
        "lease ran out"
    );
    conclusion.write(&message).await?;
    remove_uploads(&state.repos, attempt).await;
    Ok(true)
}

/// Renews all leases, because workers had no chance to do so; returns how many there are.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew_leases(state: &AppState) -> Result<u64, Error> {
    let lease = state.clock.now() + state.config.lease;
    let mut tx = state.database.write().await?;
    let renewed = attempts::renew_all_leases(&mut tx, lease).await?;
    tx.commit().await?;
    Ok(renewed)
}
