//! Table `token`. Only digests of tokens are stored.

use buildbtw_model::TokenScope;
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{TokenId, WriteTransaction, json_list};

/// What is known about a token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its row.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Millis,
    /// When it expires.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

impl TokenRow {
    /// Whether it is neither revoked nor expired.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.revoked_at.is_none()
            && self
                .expires_at
                .is_none_or(|expires_at| expires_at > Millis::now())
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

/// The token with this digest.
pub async fn by_hash(
    executor: impl SqliteExecutor<'_>,
    hash: &[u8],
) -> sqlx::Result<Option<TokenRow>> {
    select_token!("where hash = ?", hash)
        .fetch_optional(executor)
        .await
}

/// The token with this number.
pub async fn by_id(
    executor: impl SqliteExecutor<'_>,
    id: TokenId,
) -> sqlx::Result<Option<TokenRow>> {
    select_token!("where id = ?", id)
        .fetch_optional(executor)
        .await
}

/// All tokens that people made, the newest first.
pub async fn all(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<TokenRow>> {
    select_token!("where scope <> 'attempt' order by id desc")
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
    let created_at = Millis::now();
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

/// Gives the token of an attempt its secret.
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

/// Removes a token that nothing refers to.
pub async fn delete(tx: &mut WriteTransaction, id: TokenId) -> sqlx::Result<()> {
    sqlx::query!("delete from token where id = ?", id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Revokes a token; a token that is revoked already keeps its time.
pub async fn revoke(tx: &mut WriteTransaction, id: TokenId) -> sqlx::Result<()> {
    let revoked_at = Millis::now();
    sqlx::query!(
        "update token set revoked_at = ? where id = ? and revoked_at is null",
        revoked_at,
        id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a token of this scope exists that is neither revoked nor expired; with `instead_of`, another one
/// than that, which is valid for at least as long.
pub async fn any_valid(
    executor: impl SqliteExecutor<'_>,
    scope: TokenScope,
    instead_of: Option<&TokenRow>,
) -> sqlx::Result<bool> {
    let at = Millis::now();
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

/// Those of some tokens that are revoked or expired.
pub async fn invalid(tx: &mut WriteTransaction, tokens: &[TokenId]) -> sqlx::Result<Vec<TokenId>> {
    let at = Millis::now();
    let ids = json_list(tokens);
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
