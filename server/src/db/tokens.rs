//! Table `token`. Only digests of tokens are stored.

use buildbtw_model::TokenScope;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{TokenId, WriteTransaction, json_list};

/// A token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// Its scope.
    pub scope: TokenScope,
    /// When it was created.
    pub created_at: Millis,
    /// When it expires.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

impl TokenRow {
    /// Returns whether it is neither revoked nor expired at a time.
    #[must_use]
    pub fn is_valid(&self, at: Millis) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| expires_at > at)
    }
}

macro_rules! select_token {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            TokenRow,
            r#"select id as "id: TokenId", name, scope as "scope: TokenScope", created_at as "created_at: Millis",
               expires_at as "expires_at: Millis", revoked_at as "revoked_at: Millis" from token "# + $tail
            $(, $argument)*
        )
    };
}

/// Returns the token with this digest.
pub async fn by_hash(
    executor: impl SqliteExecutor<'_>,
    hash: &[u8],
) -> sqlx::Result<Option<TokenRow>> {
    select_token!("where hash = ?", hash)
        .fetch_optional(executor)
        .await
}

/// Returns the token with this id.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: TokenId,
) -> sqlx::Result<Option<TokenRow>> {
    select_token!("where id = ?", id)
        .fetch_optional(executor)
        .await
}

/// Returns all tokens except those of attempts, the newest first.
pub async fn all(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<TokenRow>> {
    select_token!("where scope <> 'attempt' order by id desc")
        .fetch_all(executor)
        .await
}

/// Returns up to `limit` tokens older than the row `before`, except those of attempts, the newest first.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    before: i64,
    limit: i64,
) -> sqlx::Result<Vec<TokenRow>> {
    select_token!(
        "where scope <> 'attempt' and id < ? order by id desc limit ?",
        before,
        limit
    )
    .fetch_all(executor)
    .await
}

/// Stores a new token.
pub async fn insert(
    tx: &mut WriteTransaction,
    name: &str,
    scope: TokenScope,
    hash: &[u8],
    expires_at: Option<Millis>,
) -> sqlx::Result<TokenId> {
    let created_at = tx.now();
    let row = sqlx::query!(
        r#"insert into token (name, scope, hash, created_at, expires_at) values (?, ?, ?, ?, ?)
           returning id as "id: TokenId""#,
        name,
        scope,
        hash,
        created_at,
        expires_at,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.id)
}

/// Sets the secret of an attempt's token.
pub async fn set_secret(
    tx: &mut WriteTransaction,
    id: TokenId,
    hash: &[u8],
    expires_at: Millis,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update token set hash = ?, expires_at = ? where id = ? and scope = 'attempt'",
        hash,
        expires_at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a token that nothing refers to.
pub async fn delete(tx: &mut WriteTransaction, id: TokenId) -> sqlx::Result<()> {
    sqlx::query!("delete from token where id = ?", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Revokes a token; a token that was revoked before keeps its time.
pub async fn revoke(tx: &mut WriteTransaction, id: TokenId) -> sqlx::Result<()> {
    let revoked_at = tx.now();
    sqlx::query!(
        "update token set revoked_at = ? where id = ? and revoked_at is null",
        revoked_at,
        id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns whether a token of this scope exists that is neither revoked nor expired at a time; with `instead_of`, one
/// other than that, which is valid for at least as long.
pub async fn any_valid(
    executor: impl SqliteExecutor<'_>,
    scope: TokenScope,
    instead_of: Option<&TokenRow>,
    at: Millis,
) -> sqlx::Result<bool> {
    let other_than = instead_of.map(|row| row.id);
    let valid_until = instead_of.and_then(|row| row.expires_at);
    let row = sqlx::query!(
        r#"select count(*) as "count!" from token
           where scope = ?1 and revoked_at is null and (expires_at is null or expires_at > ?2)
               and (?3 is null or (id <> ?3 and (expires_at is null or expires_at >= ?4)))"#,
        scope,
        at,
        other_than,
        valid_until,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.count > 0)
}

/// Returns those of some tokens that are revoked or expired.
pub async fn invalid(tx: &mut WriteTransaction, tokens: &[TokenId]) -> sqlx::Result<Vec<TokenId>> {
    let at = tx.now();
    let ids = json_list(tokens)?;
    let rows = sqlx::query!(
        r#"select id as "id: TokenId" from token
           where id in (select value from json_each(?))
               and (revoked_at is not null or expires_at <= ?)"#,
        ids,
        at,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
