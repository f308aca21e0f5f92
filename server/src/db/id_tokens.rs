//! Table `id_token_use`: the ID tokens of CI jobs that were exchanged.

use buildbtw_model::AttemptId;

use crate::time::Millis;

use super::WriteTransaction;

/// Records the exchange of a token; repeating the same exchange changes nothing. Returns false when the token was
/// exchanged for another attempt or token before.
pub async fn record_exchange(
    tx: &mut WriteTransaction,
    jti: &str,
    attempt: AttemptId,
    token_hash: &[u8],
    expires_at: Millis,
) -> sqlx::Result<bool> {
    let at = tx.now();
    sqlx::query!("delete from id_token_use where expires_at < ?", at)
        .execute(tx.connection())
        .await?;
    sqlx::query!(
        "insert into id_token_use (jti, attempt_id, token_hash, expires_at) values (?, ?, ?, ?)
         on conflict (jti) do nothing",
        jti,
        attempt,
        token_hash,
        expires_at,
    )
    .execute(tx.connection())
    .await?;
    let row = sqlx::query!(
        r#"select attempt_id as "attempt: AttemptId", token_hash from id_token_use where jti = ?"#,
        jti,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.attempt == attempt && row.token_hash == token_hash)
}

/// Returns the attempt that an ID token was exchanged for, if it was.
pub async fn attempt_of(
    tx: &mut WriteTransaction,
    jti: &str,
    token_hash: &[u8],
) -> sqlx::Result<Option<AttemptId>> {
    let row = sqlx::query!(
        r#"select attempt_id as "attempt: AttemptId" from id_token_use
           where jti = ? and token_hash = ?"#,
        jti,
        token_hash,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| row.attempt))
}
