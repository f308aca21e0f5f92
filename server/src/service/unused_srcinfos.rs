//! Deletes `.SRCINFO` texts that nothing refers to: of refs that were resolved but not planned, and of commits that
//! are neither the head of a repository nor the commit of a build.

use std::time::Duration;

use crate::db::{Database, srcinfos};
use crate::error::Error;

/// How long an unused text is kept, because a plan in progress may use it.
const KEEP_UNUSED: Duration = Duration::from_secs(2 * 3600);
/// The number of texts per transaction, so that other writes get their turn.
const BATCH: u32 = 200;

/// Deletes unused texts, a few at a time.
///
/// # Errors
/// When the database cannot be written.
pub async fn delete_unused(database: &Database) -> Result<(), Error> {
    loop {
        let mut tx = database.write().await?;
        let noted = srcinfos::note_unused(&mut tx, BATCH.into()).await?;
        let before = tx.now() - KEEP_UNUSED;
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
