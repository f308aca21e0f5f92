//! Table `worker`: when each worker last sent a request, to distinguish an architecture without workers from a busy
//! one.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{Architecture, ClaimId, WorkerName, saturating};
use sqlx::SqliteExecutor;
use sqlx::types::Json;

use crate::time::Millis;

use super::WriteTransaction;

/// A worker without a request for this long counts as gone. Workers send one at least twice a minute.
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(120);

/// The precision of a worker's last request: writing its time for every claim would cost more than the claim.
const LAST_SEEN_PRECISION: Duration = Duration::from_secs(20);

/// What is known when a worker claims a build.
#[derive(Clone, Debug)]
pub struct KnownClaim {
    /// The architectures for which a request of the worker was recorded recently.
    pub recently_seen: Json<Vec<Architecture>>,
    /// Whether the claim was assigned an attempt.
    pub is_repeated: bool,
}

/// Returns what is known of a worker and its claim. Requests of it within the precision before a time count as recent.
pub async fn known_claim(
    executor: impl SqliteExecutor<'_>,
    claim: ClaimId,
    name: &WorkerName,
    jobs: u32,
    at: Millis,
) -> sqlx::Result<KnownClaim> {
    let since = at - LAST_SEEN_PRECISION;
    sqlx::query_as!(
        KnownClaim,
        r#"select (
               select json_group_array(architecture) from worker
               where name = ? and jobs = ? and last_seen_at >= ?
           ) as "recently_seen!: Json<Vec<Architecture>>",
           exists (select 1 from attempt where claim = ?) as "is_repeated!: bool""#,
        name,
        jobs,
        since,
        claim,
    )
    .fetch_one(executor)
    .await
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
