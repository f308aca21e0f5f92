//! Table `source_progress`: where the source repositories come from, and the progress of their initial sync.

use buildbtw_model::saturating;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// The progress of the initial sync.
#[derive(Clone, Debug, Default)]
pub struct ProgressRow {
    /// Where the initial sync continues.
    pub cursor: Option<String>,
    /// The number of repositories read so far.
    pub seen: u64,
    /// The number of repositories to read.
    pub total: Option<u64>,
    /// When it started, by the clock of the origin.
    pub began_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// All changes up to this time have been read, by the clock of the origin.
    pub watermark: Option<Millis>,
}

/// Returns the progress of the initial sync.
pub async fn get(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Option<ProgressRow>> {
    sqlx::query_as!(
        ProgressRow,
        r#"select cursor, seen as "seen: u64", total as "total: u64", began_at as "began_at: Millis",
           finished_at as "finished_at: Millis", watermark as "watermark: Millis"
           from source_progress"#
    )
    .fetch_optional(executor)
    .await
}

/// Continues with the repositories of an origin. Deletes the repositories of any other origin.
pub async fn begin(tx: &mut WriteTransaction, origin: &str) -> sqlx::Result<ProgressRow> {
    let known = sqlx::query_scalar!("select origin from source_progress")
        .fetch_optional(tx.connection())
        .await?;
    if known.as_deref() != Some(origin) {
        sqlx::query!("delete from source_repository")
            .execute(tx.connection())
            .await?;
        sqlx::query!(
            "insert or replace into source_progress (id, origin) values (1, ?)",
            origin
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(get(tx.connection()).await?.unwrap_or_default())
}

/// Records the progress of the initial sync.
pub async fn record_progress(
    tx: &mut WriteTransaction,
    cursor: Option<&str>,
    seen: u64,
    total: Option<u64>,
    began_at: Option<Millis>,
) -> sqlx::Result<()> {
    let (seen, total) = (saturating::<i64, _>(seen), total.map(saturating::<i64, _>));
    sqlx::query!(
        "update source_progress set cursor = ?, seen = ?, total = ?, began_at = ?",
        cursor,
        seen,
        total,
        began_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records the end of a full resync, which has read all changes up to `watermark`.
pub async fn record_finished(
    tx: &mut WriteTransaction,
    watermark: Option<Millis>,
) -> sqlx::Result<()> {
    let now = tx.now();
    sqlx::query!(
        "update source_progress set cursor = null, finished_at = ?, watermark = ?",
        now,
        watermark,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records that all changes up to `watermark` have been read.
pub async fn set_watermark(tx: &mut WriteTransaction, watermark: Millis) -> sqlx::Result<()> {
    sqlx::query!("update source_progress set watermark = ?", watermark)
        .execute(tx.connection())
        .await?;
    Ok(())
}
