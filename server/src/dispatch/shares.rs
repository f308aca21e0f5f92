//! Reads the work of the last day, from which fair shares are computed.

use crate::db::{Database, work};
use crate::state::shares::Shares;
use crate::time::Millis;

/// Reads the work of the last day if that was not done for a while.
pub(super) async fn refresh(database: &Database, shares: &Shares, at: Millis) -> sqlx::Result<()> {
    if shares.is_outdated(at) {
        shares.replace(work::of_last_day(database.read(), at).await?, at);
    }
    Ok(())
}
