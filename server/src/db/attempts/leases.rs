//! Leases of attempts: the time by which a worker must have sent its next heartbeat.

use buildbtw_model::{AttemptId, AttemptStatus, BuildId, FailureKind, WorkerName};
use sqlx::SqliteExecutor;

use super::AttemptRow;
use crate::db::{TokenId, WriteTransaction};
use crate::time::Millis;

/// Returns the attempts whose lease has expired by a time.
pub async fn expired(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
) -> sqlx::Result<Vec<AttemptRow>> {
    select_attempt!(
        "where status in ('queued', 'running') and lease_expires_at <= ?",
        at
    )
    .fetch_all(executor)
    .await
}

/// Returns when the next lease after a time expires.
pub async fn next_expiry(
    executor: impl SqliteExecutor<'_>,
    after: Millis,
) -> sqlx::Result<Option<Millis>> {
    let row = sqlx::query!(
        r#"select min(lease_expires_at) as "at: Millis" from attempt
           where status in ('queued', 'running') and lease_expires_at > ?"#,
        after,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.at)
}

/// Renews the lease of an attempt that has not ended, and whose job has not reported its end.
pub async fn renew_lease(
    tx: &mut WriteTransaction,
    id: AttemptId,
    lease_expires_at: Millis,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update attempt set lease_expires_at = ? where id = ? and status in ('queued', 'running')
             and not exists (select 1 from pipeline
                 where attempt_id = attempt.id and reported_at is not null)",
        lease_expires_at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Sets the machine that runs an attempt, which is known only once its job has started, and starts its lease.
pub async fn set_worker(
    tx: &mut WriteTransaction,
    id: AttemptId,
    worker: &WorkerName,
    lease_expires_at: Millis,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update attempt set worker = ?, lease_expires_at = ?
         where id = ? and status in ('queued', 'running')",
        worker,
        lease_expires_at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// The lease of an attempt whose pipeline has no job yet: GitLab reports when it ends.
pub const UNLIMITED_LEASE: Millis = Millis(i64::MAX / 4);

/// Limits the unlimited leases of attempts whose pipelines are no longer followed: of all attempts, or of those
/// whose pipelines were abandoned.
pub async fn end_unlimited_leases(
    tx: &mut WriteTransaction,
    lease_expires_at: Millis,
    all: bool,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update attempt set lease_expires_at = ?
         where status in ('queued', 'running') and lease_expires_at >= ?
             and (? or id in (select attempt_id from pipeline where ended_at is not null))",
        lease_expires_at,
        UNLIMITED_LEASE,
        all,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Renews all leases, so that workers have time to reconnect after the server was down.
pub async fn renew_all_leases(
    tx: &mut WriteTransaction,
    lease_expires_at: Millis,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "update attempt set lease_expires_at = max(lease_expires_at, ?)
         where status in ('queued', 'running')",
        lease_expires_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}
