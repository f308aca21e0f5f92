//! Table `worker`: when each worker last sent a request, to distinguish an architecture without workers from a busy
//! one.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{Architecture, WorkerName, saturating};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::WriteTransaction;

/// A worker without a request for this long counts as gone. Workers send one at least twice a minute.
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(120);

/// The precision of a worker's last request: writing its time for every claim would cost more than the claim.
const LAST_SEEN_PRECISION: Duration = Duration::from_secs(20);

/// Returns the architectures for which a request of this worker was recorded within the precision before a time.
pub async fn recently_seen(
    executor: impl SqliteExecutor<'_>,
    name: &WorkerName,
    jobs: u32,
    at: Millis,
) -> sqlx::Result<Vec<Architecture>> {
    let since = at - LAST_SEEN_PRECISION;
    let rows = sqlx::query!(
        r#"select architecture as "architecture!: Architecture" from worker
           where name = ? and jobs = ? and last_seen_at >= ?"#,
        name,
        jobs,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.architecture).collect())
}

/// Records that a worker claims builds of an architecture.
pub async fn record_seen(
    tx: &mut WriteTransaction,
    name: &WorkerName,
    architecture: &Architecture,
    jobs: u32,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "insert into worker (name, architecture, jobs, last_seen_at) values (?, ?, ?, ?)
         on conflict (name, architecture) do update set jobs = excluded.jobs,
             last_seen_at = excluded.last_seen_at",
        name,
        architecture,
        jobs,
        at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Records a request of a known worker.
pub async fn touch(tx: &mut WriteTransaction, name: &WorkerName) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update worker set last_seen_at = ? where name = ?",
        at,
        name
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns how many builds the workers with a request since a time can run at once, by architecture.
pub async fn jobs_since(
    executor: impl SqliteExecutor<'_>,
    since: Millis,
) -> sqlx::Result<HashMap<Architecture, usize>> {
    let rows = sqlx::query!(
        r#"select architecture as "architecture!: Architecture", sum(jobs) as "jobs!: u32" from worker
           where last_seen_at >= ? group by architecture"#,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.architecture, saturating(row.jobs)))
        .collect())
}

/// Returns the workers for an architecture with a request since a time.
pub async fn alive(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    since: Millis,
) -> sqlx::Result<Vec<WorkerName>> {
    let rows = sqlx::query!(
        r#"select name as "name!: WorkerName" from worker
           where architecture = ? and last_seen_at >= ?"#,
        architecture,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
