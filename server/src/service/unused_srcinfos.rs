//! Deletes `.SRCINFO` texts that nothing refers to: of refs that were looked up but not planned, and
//! of commits that no repository is at and no build was planned with.

use std::time::Duration;

use crate::db::{Database, srcinfos};
use crate::error::Error;
use crate::time::Millis;

/// How long a text is kept that nothing refers to: it may be planned with at this moment.
const KEPT: Duration = Duration::from_secs(2 * 3600);
/// How many are changed in one transaction, so that others get their turn.
const BATCH: u32 = 200;

/// Deletes them, a few at a time.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_unused(database: &Database) -> Result<(), Error> {
    loop {
        let mut tx = database.write().await?;
        let noted = srcinfos::note_unused(&mut tx, BATCH.into()).await?;
        let before = Millis::now() - KEPT;
        let deleted = srcinfos::delete_unused(&mut tx, before, BATCH.into()).await?;
        tx.commit().await?;
        if deleted > 0 {
            tracing::debug!(deleted, "deleted .SRCINFO texts that nothing refers to");
        }
        if noted.max(deleted) < BATCH.into() {
            return Ok(());
        }
    }
}
