//! Table `worker`: when each worker last sent a request, to distinguish an architecture without workers from a busy
//! one.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::api::{ClaimRequest, WorkerMachine};
use buildbtw_model::{Architecture, BuildId, NamespaceName, Pkgbase, WorkerName, saturating};
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
    /// Whether what it says of its machine was recorded recently.
    pub has_profile: bool,
    /// Whether the claim was assigned an attempt.
    pub is_repeated: bool,
}

/// Returns what is known of a worker and its claim. Requests of it within the precision before a time count as recent.
pub async fn known_claim(
    executor: impl SqliteExecutor<'_>,
    claim: &ClaimRequest,
    at: Millis,
) -> sqlx::Result<KnownClaim> {
    let since = at - LAST_SEEN_PRECISION;
    let (name, jobs, machine) = (&claim.worker, claim.jobs, claim.machine.as_ref().map(Json));
    sqlx::query_as!(
        KnownClaim,
        r#"select (
               select json_group_array(architecture) from worker
               where name = ?1 and jobs = ?2 and last_seen_at >= ?3
           ) as "recently_seen!: Json<Vec<Architecture>>",
           (?4 is null or exists (
               select 1 from worker_profile where name = ?1 and machine = ?4 and seen_at >= ?3
           )) as "has_profile!: bool",
           exists (select 1 from attempt where claim = ?5) as "is_repeated!: bool""#,
        name,
        jobs,
        since,
        machine,
        claim.claim,
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

/// Returns whether a worker is known.
pub async fn exists(executor: impl SqliteExecutor<'_>, name: &WorkerName) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists (select 1 from worker where name = ?) as "exists!: bool""#,
        name
    )
    .fetch_one(executor)
    .await?;
    Ok(row.exists)
}

/// A worker with what is known of it.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// Its name.
    pub name: WorkerName,
    /// The architectures that it builds for.
    pub architectures: Json<Vec<Architecture>>,
    /// How many builds it runs at the same time.
    pub jobs: u32,
    /// When it last sent a request.
    pub last_seen_at: Millis,
    /// What it says of its machine.
    pub machine: Option<Json<WorkerMachine>>,
    /// The load of its machine.
    pub load: Option<f64>,
    /// The bytes that are free on its disk.
    pub disk_free: Option<i64>,
    /// The size of its disk, in bytes.
    pub disk_total: Option<i64>,
    /// Since when it gets no builds.
    pub drained_at: Option<Millis>,
    /// The name of the token that drained it.
    pub drained_by: Option<String>,
    /// Why it was drained.
    pub reason: Option<String>,
}

/// Returns up to `limit` workers after a name, by name: those that are drained, and those with a request since a time.
pub async fn page(
    executor: impl SqliteExecutor<'_>,
    after: &str,
    since: Millis,
    limit: i64,
) -> sqlx::Result<Vec<WorkerRow>> {
    sqlx::query_as!(
        WorkerRow,
        r#"select worker.name as "name!: WorkerName",
               json_group_array(worker.architecture) as "architectures!: Json<Vec<Architecture>>",
               max(worker.jobs) as "jobs!: u32", max(worker.last_seen_at) as "last_seen_at!: Millis",
               profile.machine as "machine?: Json<WorkerMachine>", profile.load as "load?: f64",
               profile.disk_free as "disk_free?: i64", profile.disk_total as "disk_total?: i64",
               drain.drained_at as "drained_at?: Millis", drain.drained_by as "drained_by?",
               drain.reason as "reason?"
           from worker left join worker_profile as profile on profile.name = worker.name
           left join worker_drain as drain on drain.name = worker.name
           where worker.name > ?1 and (worker.last_seen_at >= ?2 or drain.name is not null)
           group by worker.name order by worker.name limit ?3"#,
        after,
        since,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// Returns what the workers with a request since a time that are not drained say of their machines, by architecture.
pub async fn machines(
    executor: impl SqliteExecutor<'_>,
    since: Millis,
) -> sqlx::Result<Vec<(Architecture, Option<WorkerMachine>)>> {
    let rows = sqlx::query!(
        r#"select worker.architecture as "architecture!: Architecture",
               profile.machine as "machine?: Json<WorkerMachine>"
           from worker left join worker_profile as profile on profile.name = worker.name
           where worker.last_seen_at >= ? and worker.name not in (select name from worker_drain)"#,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.architecture, row.machine.map(|machine| machine.0)))
        .collect())
}

/// A build that a worker runs.
#[derive(Clone, Debug)]
pub struct RunningRow {
    /// The worker.
    pub worker: WorkerName,
    /// The build.
    pub build: BuildId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture.
    pub architecture: Architecture,
    /// Since when it runs.
    pub started_at: Option<Millis>,
}

/// Returns all builds that run, by worker.
pub async fn running(executor: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<RunningRow>> {
    sqlx::query_as!(
        RunningRow,
        r#"select attempt.worker as "worker!: WorkerName", build.id as "build!: BuildId",
               namespace.name as "namespace!: NamespaceName", build.pkgbase as "pkgbase!: Pkgbase",
               build.architecture as "architecture!: Architecture",
               attempt.started_at as "started_at: Millis"
           from attempt cross join build on build.id = attempt.build_id
           cross join iteration on iteration.id = build.iteration_id
           cross join namespace on namespace.id = iteration.namespace_id
           where attempt.status in ('queued', 'running') order by attempt.worker, build.id"#
    )
    .fetch_all(executor)
    .await
}

/// Returns how many builds the workers with a request since a time can run at once, by architecture. Drained ones do
/// not count.
pub async fn jobs_since(
    executor: impl SqliteExecutor<'_>,
    since: Millis,
) -> sqlx::Result<HashMap<Architecture, usize>> {
    let rows = sqlx::query!(
        r#"select architecture as "architecture!: Architecture", sum(jobs) as "jobs!: u32" from worker
           where last_seen_at >= ? and name not in (select name from worker_drain)
           group by architecture"#,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.architecture, saturating(row.jobs)))
        .collect())
}

/// Returns the workers for an architecture with a request since a time that are not drained.
pub async fn alive(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    since: Millis,
) -> sqlx::Result<Vec<WorkerName>> {
    let rows = sqlx::query!(
        r#"select name as "name!: WorkerName" from worker
           where architecture = ? and last_seen_at >= ?
               and name not in (select name from worker_drain)"#,
        architecture,
        since,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
