//! Gives builds back to the queue whose workers were not heard of in time.

use std::time::Instant;

use crate::app_state::AppState;
use crate::db::{attempts, builds, now};
use crate::error::Error;

use super::report_outcome::remove_uploads;
use super::transitions::Transition;

/// Marks every attempt as lost whose lease has run out.
///
/// # Errors
/// When the database cannot be used.
pub async fn expire_leases(state: &AppState) -> Result<(), Error> {
    for attempt in attempts::expired(state.database.read()).await? {
        let asked = Instant::now();
        let mut transition = Transition::begin(&state.database).await?;
        if asked.elapsed() > state.config.lease / 3 {
            // Heartbeats had to wait as long behind some large write.
            drop(transition);
            renew_leases(state).await?;
            return Ok(());
        }
        // A heartbeat may have come between.
        let current = attempts::by_id(&mut *transition.tx.connection(), attempt.id).await?;
        let Some(current) = current.filter(|row| row.lease_expires_at <= now()) else {
            continue;
        };
        let build = builds::by_id(&mut *transition.tx.connection(), current.build).await?;
        if let Some(build) = build
            && transition.lost(&build, &current).await?
        {
            tracing::warn!(
                attempt.id = %current.id,
                worker.name = current.worker.as_str(),
                build.pkgbase = build.pkgbase.as_str(),
                "lease ran out"
            );
        }
        let effects = transition.commit().await?;
        state.announce(effects);
        state.logs.close(attempt.id).await?;
        remove_uploads(state, attempt.id).await;
    }
    Ok(())
}

/// Renews all leases, because workers had no chance to do so; returns how many there are.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew_leases(state: &AppState) -> Result<u64, Error> {
    let lease = i64::try_from(state.config.lease.as_millis()).unwrap_or(i64::MAX / 2);
    let mut tx = state.database.write().await?;
    let renewed = attempts::renew_all_leases(&mut tx, now() + lease).await?;
    tx.commit().await?;
    Ok(renewed)
}
