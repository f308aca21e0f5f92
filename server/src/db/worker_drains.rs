//! Table `worker_drain`: workers that get no builds.

use std::collections::BTreeSet;

use buildbtw_model::WorkerName;
use sqlx::SqliteExecutor;

use super::WriteTransaction;

/// Drains a worker. Returns false when it is drained already.
pub async fn insert(
    tx: &mut WriteTransaction,
    name: &WorkerName,
    by: &str,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "insert into worker_drain (name, drained_at, drained_by, reason) values (?, ?, ?, ?)
         on conflict do nothing",
        name,
        at,
        by,
        reason,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Lets a drained worker have builds again. Returns false when it is not drained.
pub async fn delete(tx: &mut WriteTransaction, name: &WorkerName) -> sqlx::Result<bool> {
    let result = sqlx::query!("delete from worker_drain where name = ?", name)
        .execute(tx.connection())
        .await?;
    Ok(result.rows_affected() == 1)
}

/// Returns all drained workers.
pub async fn all(executor: impl SqliteExecutor<'_>) -> sqlx::Result<BTreeSet<WorkerName>> {
    let rows = sqlx::query_scalar!(r#"select name as "name: WorkerName" from worker_drain"#)
        .fetch_all(executor)
        .await?;
    Ok(rows.into_iter().collect())
}
