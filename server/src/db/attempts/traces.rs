//! What the trace of an attempt consists of.

use buildbtw_model::{
    Architecture, AttemptId, AttemptStatus, BuildId, FailureKind, NamespaceName, Pkgbase,
    WorkerName,
};
use sqlx::SqliteExecutor;

use crate::db::json_list;
use crate::time::Millis;

/// An attempt that has ended, with the times of its parts.
#[derive(Clone, Debug)]
pub struct TracedAttempt {
    /// Its id.
    pub id: AttemptId,
    /// 1, 2, 3 … within its build.
    pub number: u32,
    /// Its status.
    pub status: AttemptStatus,
    /// The kind of its failure.
    pub failure: Option<FailureKind>,
    /// The worker that ran it.
    pub worker: WorkerName,
    /// The build.
    pub build: BuildId,
    /// The package.
    pub pkgbase: Pkgbase,
    /// The architecture.
    pub architecture: Architecture,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The number of the iteration.
    pub iteration: u32,
    /// Since when the build could be dispatched, the last time that it became ready.
    pub ready_at: Option<Millis>,
    /// When the attempt was dispatched.
    pub created_at: Millis,
    /// When its build started.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// When its packages were published.
    pub published_at: Option<Millis>,
}

/// Returns these attempts, and those whose packages these builds have and which are their own.
pub async fn traced(
    executor: impl SqliteExecutor<'_>,
    attempts: &[AttemptId],
    builds: &[BuildId],
) -> sqlx::Result<Vec<TracedAttempt>> {
    let attempts = json_list(attempts)?;
    let builds = json_list(builds)?;
    sqlx::query_as!(
        TracedAttempt,
        r#"select attempt.id as "id!: AttemptId", attempt.number as "number!: u32",
               attempt.status as "status!: AttemptStatus", attempt.failure as "failure: FailureKind",
               attempt.worker as "worker!: WorkerName", build.id as "build!: BuildId",
               build.pkgbase as "pkgbase!: Pkgbase", build.architecture as "architecture!: Architecture",
               namespace.name as "namespace!: NamespaceName", iteration.number as "iteration!: u32",
               build.ready_at as "ready_at: Millis", attempt.created_at as "created_at!: Millis",
               attempt.started_at as "started_at: Millis", attempt.finished_at as "finished_at: Millis",
               case when build.status = 'built' and build.packages_attempt_id = attempt.id
                   then build.finished_at end as "published_at: Millis"
           from attempt
           join build on build.id = attempt.build_id
           join iteration on iteration.id = build.iteration_id
           join namespace on namespace.id = iteration.namespace_id
           where attempt.id in (
               select value from json_each(?)
               union
               select own.id from build as published
               join attempt as own on own.id = published.packages_attempt_id
                   and own.build_id = published.id
               where published.id in (select value from json_each(?))
           )"#,
        attempts,
        builds,
    )
    .fetch_all(executor)
    .await
}
