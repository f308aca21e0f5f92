//! Table `srcinfo`: texts by their digest, parsed once.

use buildbtw_model::Sha256Digest;
use sqlx::SqliteExecutor;

use super::WriteTransaction;

/// A stored `.SRCINFO`.
pub struct SrcinfoRow {
    /// The digest of the text.
    pub sha256: Sha256Digest,
    /// The text.
    pub text: String,
    /// The planner's reading of it, in its own stored form.
    pub parsed: String,
    /// Which parser made that reading.
    pub parser: i64,
}

/// Stores a text, or a newer reading of it.
pub async fn put(tx: &mut WriteTransaction, row: &SrcinfoRow) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into srcinfo (sha256, text, parsed, parser) values (?, ?, ?, ?)
         on conflict (sha256) do update set parsed = excluded.parsed, parser = excluded.parser",
        row.sha256,
        row.text,
        row.parsed,
        row.parser,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The text of this digest.
pub async fn get(
    executor: impl SqliteExecutor<'_>,
    sha256: &Sha256Digest,
) -> sqlx::Result<Option<SrcinfoRow>> {
    sqlx::query_as!(
        SrcinfoRow,
        r#"select sha256 as "sha256: Sha256Digest", text, parsed, parser from srcinfo where sha256 = ?"#,
        sha256,
    )
    .fetch_optional(executor)
    .await
}
