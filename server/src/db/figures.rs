//! Figures over several tables, for metrics and readiness. They read indexes and the builds of current iterations.

use buildbtw_model::{Architecture, BuildId, BuildStatus, WorkerName};
use sqlx::{SqliteExecutor, SqlitePool};

use crate::time::Millis;

/// The builds of an architecture in one iteration.
#[derive(Clone, Debug)]
pub struct BuildCounts {
    /// The architecture.
    pub architecture: Architecture,
    blocked: i64,
    ready: i64,
    dispatched: i64,
    building: i64,
    built: i64,
    failed: i64,
    reused: i64,
    cancelled: i64,
    /// Since when the oldest ready build could be dispatched.
    pub ready_since: Option<Millis>,
}

impl BuildCounts {
    /// Returns the number of builds in a state.
    #[must_use]
    pub fn of(&self, state: BuildStatus) -> i64 {
        match state {
            BuildStatus::Blocked => self.blocked,
            BuildStatus::Ready => self.ready,
            BuildStatus::Dispatched => self.dispatched,
            BuildStatus::Building => self.building,
            BuildStatus::Built => self.built,
            BuildStatus::Failed => self.failed,
            BuildStatus::Reused => self.reused,
            BuildStatus::Cancelled => self.cancelled,
        }
    }
}

/// Counts the builds of each iteration that was not superseded. In this form SQLite needs no sorting, which would take
/// a third of the time.
pub async fn build_counts(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
) -> sqlx::Result<Vec<BuildCounts>> {
    sqlx::query_as!(
        BuildCounts,
        r#"select build.architecture as "architecture!: Architecture",
               count(*) filter (where build.status = 'blocked') as "blocked!: i64",
               count(*) filter (where build.status = 'ready') as "ready!: i64",
               count(*) filter (where build.status = 'dispatched') as "dispatched!: i64",
               count(*) filter (where build.status = 'building') as "building!: i64",
               count(*) filter (where build.status = 'built') as "built!: i64",
               count(*) filter (where build.status = 'failed') as "failed!: i64",
               count(*) filter (where build.status = 'reused') as "reused!: i64",
               count(*) filter (where build.status = 'cancelled') as "cancelled!: i64",
               min(build.ready_at) filter (where build.status = 'ready' and build.ready_at <= ?)
                   as "ready_since?: Millis"
           from iteration cross join build on build.iteration_id = iteration.id
           where iteration.superseded_by is null
           group by iteration.id, build.architecture"#,
        at,
    )
    .fetch_all(executor)
    .await
}

/// A build that can be dispatched.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The build.
    pub id: BuildId,
    /// Its architecture.
    pub architecture: Architecture,
}

/// Returns up to `limit` builds that can be dispatched at a time to any worker for their architecture, those that became
/// ready first.
pub async fn waiting(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
    limit: i64,
) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        r#"select build.id as "id!: BuildId", build.architecture as "architecture!: Architecture"
           from build join iteration on iteration.id = build.iteration_id
           where build.status = 'ready' and build.ready_at <= ? and iteration.status = 'running'
               and build.tag is null and build.exceeded_memory_mib is null
           order by build.ready_at, build.id limit ?"#,
        at,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// A worker with what it runs.
#[derive(Clone, Debug)]
pub struct WorkerFigures {
    /// Its name.
    pub name: WorkerName,
    /// How many builds it can run at the same time.
    pub jobs: i64,
    /// How many builds it runs.
    pub running: i64,
    /// When it last sent a request.
    pub last_seen_at: Millis,
    /// Whether it gets no builds.
    pub is_drained: bool,
}

/// Returns the workers with a request since a time.
pub async fn workers(
    executor: impl SqliteExecutor<'_>,
    since: Millis,
) -> sqlx::Result<Vec<WorkerFigures>> {
    sqlx::query_as!(
        WorkerFigures,
        r#"with running as (
               select worker, count(*) as attempts from attempt
               where status in ('queued', 'running') group by worker
           )
           select worker.name as "name!: WorkerName", max(worker.jobs) as "jobs!: i64",
               coalesce(max(running.attempts), 0) as "running!: i64",
               max(worker.last_seen_at) as "last_seen_at!: Millis",
               exists (select 1 from worker_drain where name = worker.name) as "is_drained!: bool"
           from worker left join running on running.worker = worker.name
           where worker.last_seen_at >= ? group by worker.name order by worker.name"#,
        since,
    )
    .fetch_all(executor)
    .await
}

/// Counts webhooks that were not processed yet.
pub async fn unprocessed_webhooks(executor: impl SqliteExecutor<'_>) -> sqlx::Result<i64> {
    let row = sqlx::query!(
        r#"select count(*) as "count!: i64" from webhook_delivery where processed_at is null"#
    )
    .fetch_one(executor)
    .await?;
    Ok(row.count)
}

/// Returns the version of the newest migration that was applied. It is in a table of sqlx.
pub async fn applied_migration(pool: &SqlitePool) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
        .fetch_one(pool)
        .await
}
