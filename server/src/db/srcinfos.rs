//! Table `srcinfo`: the texts of `.SRCINFO` files by digest, parsed once.

use buildbtw_model::Sha256Digest;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// A stored `.SRCINFO`.
pub struct SrcinfoRow {
    /// The digest of the text.
    pub sha256: Sha256Digest,
    /// The text.
    pub text: String,
    /// The parsed text, in the planner's stored form.
    pub parsed: String,
    /// The version of the parser.
    pub parser: i64,
}

/// Stores a text, or updates its parsed form.
pub async fn put(tx: &mut WriteTransaction, row: &SrcinfoRow) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into srcinfo (sha256, text, parsed, parser) values (?, ?, ?, ?)
         on conflict (sha256) do update set parsed = excluded.parsed, parser = excluded.parser,
             unused_since = null",
        row.sha256,
        row.text,
        row.parsed,
        row.parser,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the text with this digest.
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

/// Returns whether a text is stored and not marked as unused.
pub async fn is_kept(
    executor: impl SqliteExecutor<'_>,
    sha256: &Sha256Digest,
) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select id as "id!: i64" from srcinfo where sha256 = ? and unused_since is null"#,
        sha256,
    )
    .fetch_optional(executor)
    .await?;
    Ok(found.is_some())
}

/// Marks up to `limit` texts that no repository and no build has as unused, and unmarks those that are used again.
/// Returns the number of newly marked texts.
pub async fn note_unused(tx: &mut WriteTransaction, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        "update srcinfo set unused_since = null where unused_since is not null and (
             exists (select 1 from build where build.srcinfo_sha256 = srcinfo.sha256)
             or exists (select 1 from source_repository
                 where source_repository.srcinfo_sha256 = srcinfo.sha256))"
    )
    .execute(tx.connection())
    .await?;
    let now = tx.now();
    // Does not read the texts, which are stored before `unused_since`.
    let noted = sqlx::query!(
        "update srcinfo set unused_since = ? where id in (
             select id from srcinfo as text
             where id not in (select id from srcinfo where unused_since is not null)
                 and not exists (select 1 from build where build.srcinfo_sha256 = text.sha256)
                 and not exists (select 1 from source_repository
                     where source_repository.srcinfo_sha256 = text.sha256)
             limit ?)",
        now,
        limit,
    )
    .execute(tx.connection())
    .await?;
    Ok(noted.rows_affected())
}

/// Deletes up to `limit` texts that have been unused since before a time, and returns their number. Call
/// [`note_unused`] before, in the same transaction.
pub async fn delete_unused(
    tx: &mut WriteTransaction,
    before: Millis,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "delete from srcinfo where id in (
             select id from srcinfo where unused_since < ? limit ?)",
        before,
        limit,
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected())
}
