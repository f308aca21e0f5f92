//! Table `worker`: who was heard of when, to tell an architecture without workers from a busy one.

use buildbtw_model::{Architecture, WorkerName};
use sqlx::SqliteExecutor;

use super::{WriteTransaction, now};

/// Notes that a worker asked for builds of an architecture.
pub async fn seen(
    tx: &mut WriteTransaction,
    name: &WorkerName,
    architecture: &Architecture,
) -> sqlx::Result<()> {
    let at = now();
    sqlx::query!(
        "insert into worker (name, architecture, last_seen_at) values (?, ?, ?)
         on conflict (name, architecture) do update set last_seen_at = excluded.last_seen_at",
        name,
        architecture,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The architectures that some worker asked for since a time.
pub async fn architectures_since(
    executor: impl SqliteExecutor<'_>,
    since: i64,
) -> sqlx::Result<Vec<Architecture>> {
    let rows = sqlx::query!(
        r#"select distinct architecture as "architecture: Architecture" from worker
           where last_seen_at >= ?"#,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.architecture).collect())
}
