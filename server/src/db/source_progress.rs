//! Table `source_progress`: where the source repositories come from, and how far they were read.

use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// How far the repositories were read.
#[derive(Clone, Debug, Default)]
pub struct ProgressRow {
    /// Where the first full look goes on.
    pub cursor: Option<String>,
    /// How many repositories it has seen.
    pub seen: i64,
    /// Of how many.
    pub total: Option<i64>,
    /// When it began, by the clock of the origin.
    pub began_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// All changes up to here have been seen, by the clock of the origin.
    pub watermark: Option<Millis>,
}

/// How far it has come.
pub async fn get(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Option<ProgressRow>> {
    sqlx::query_as!(
        ProgressRow,
        r#"select cursor, seen, total, began_at as "began_at: Millis",
           finished_at as "finished_at: Millis", watermark as "watermark: Millis"
           from source_progress"#
    )
    .fetch_optional(executor)
    .await
}

/// Continues with the repositories of an origin. What is known of another one's is forgotten.
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

/// Notes how far the first full look has come.
pub async fn record_progress(
    tx: &mut WriteTransaction,
    cursor: Option<&str>,
    seen: i64,
    total: Option<i64>,
    began_at: Option<Millis>,
) -> sqlx::Result<()> {
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

/// Notes the end of a full look. All changes up to `watermark` have been seen.
pub async fn record_finished(
    tx: &mut WriteTransaction,
    watermark: Option<Millis>,
) -> sqlx::Result<()> {
    let now = Millis::now();
    sqlx::query!(
        "update source_progress set cursor = null, finished_at = ?, watermark = ?",
        now,
        watermark,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that all changes up to `watermark` have been seen.
pub async fn set_watermark(tx: &mut WriteTransaction, watermark: Millis) -> sqlx::Result<()> {
    sqlx::query!("update source_progress set watermark = ?", watermark)
        .execute(tx.connection())
        .await?;
    Ok(())
}
