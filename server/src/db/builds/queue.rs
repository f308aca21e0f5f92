//! Dispatch of builds: candidates, and the transitions from `ready` to `building` and back.

use buildbtw_model::{Architecture, BuildId, Explanation, Priority, WorkerName, WorkerTag};
use sqlx::SqliteExecutor;

use crate::db::{NamespaceId, WriteTransaction, json_list};
use crate::time::Millis;

/// A ready build, with what the choice between several depends on.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The build.
    pub id: BuildId,
    /// The namespace it belongs to.
    pub namespace: NamespaceId,
    /// The name of the token that created the namespace; empty where it is not known.
    pub person: String,
    /// The priority of the namespace.
    pub priority: Priority,
    /// The number of dispatched builds of the namespace, for the same architecture.
    pub namespace_load: i64,
    /// Its remaining critical path, in seconds.
    pub critical_path_s: i64,
    /// Its expected duration, in seconds.
    pub estimate_s: i64,
    /// Since when it can be dispatched.
    pub ready_at: Option<Millis>,
    /// The worker of its last attempt, if that was lost or failed because of the infrastructure.
    pub failed_on: Option<WorkerName>,
    /// The end of its backoff after that.
    pub not_before: Option<Millis>,
}

/// Which builds the workers that wait could run.
#[derive(Clone, Copy, Debug)]
pub struct Eligible<'a> {
    /// Builds that need one of these tags, or none.
    pub tags: &'a [&'a WorkerTag],
    /// Builds that have not exceeded this memory before, in MiB.
    pub memory_mib: i64,
}

/// Returns the eligible builds of an architecture that are ready at a time: of each iteration and tag the `limit` with
/// the longest critical paths.
pub async fn candidates(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    eligible: &Eligible<'_>,
    limit: i64,
    at: Millis,
) -> sqlx::Result<Vec<Candidate>> {
    let tags = eligible.tags.iter().copied().map(Some);
    let tags: Vec<Option<&WorkerTag>> = std::iter::once(None).chain(tags).collect();
    let tags = json_list(&tags)?;
    sqlx::query_as!(
        Candidate,
        r#"with load as (
               select iteration.namespace_id, count(*) as running
               from build join iteration on iteration.id = build.iteration_id
               where build.status in ('dispatched', 'building') and build.architecture = ?1 group by 1
           )
           select build.id as "id!: BuildId", iteration.namespace_id as "namespace!: NamespaceId",
               coalesce(namespace.created_by, '') as "person!: String",
               namespace.priority as "priority!: Priority",
               coalesce(load.running, 0) as "namespace_load!: i64",
               build.priority_s as "critical_path_s!: i64", build.estimate_s as "estimate_s!: i64",
               build.ready_at as "ready_at: Millis",
               build.not_before as "not_before: Millis",
               case when build.not_before is not null then (
                   select worker from attempt where attempt.build_id = build.id
                   order by number desc limit 1
               ) end as "failed_on: WorkerName"
           -- A cross join keeps this order: per iteration and tag, the top of one index.
           from iteration cross join json_each(?4) as wanted cross join build on build.id in (
               select top.id from build as top
               where top.status = 'ready' and top.architecture = ?1
                   and top.iteration_id = iteration.id and top.tag is wanted.value
                   and (top.exceeded_memory_mib is null or top.exceeded_memory_mib < ?5)
                   and (top.not_before is null or top.not_before <= ?2)
               order by top.priority_s desc, top.id limit ?3
           )
           cross join namespace on namespace.id = iteration.namespace_id
           left join load on load.namespace_id = iteration.namespace_id
           where iteration.status = 'running'"#,
        architecture,
        at,
        limit,
        tags,
        eligible.memory_mib,
    )
    .fetch_all(executor)
    .await
}

/// Returns the earliest time after `at` at which the backoff of a build ends.
pub async fn next_backoff_end(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
) -> sqlx::Result<Option<Millis>> {
    let row = sqlx::query!(
        r#"select min(not_before) as "at: Millis" from build
           where status = 'ready' and not_before is not null and not_before > ?"#,
        at,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.at)
}

/// Moves those of the builds that are `ready` to `dispatched`, and returns them with the time since when they could
/// be dispatched.
pub async fn dispatch(
    tx: &mut WriteTransaction,
    ids: &[BuildId],
) -> sqlx::Result<Vec<(BuildId, Option<Millis>)>> {
    let ids = json_list(ids)?;
    let rows = sqlx::query!(
        r#"update build set status = 'dispatched', not_before = null, message = null, hint = null
           where id in (select value from json_each(?)) and status = 'ready'
           returning id as "id: BuildId", ready_at as "ready_at: Millis""#,
        ids,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.ready_at)).collect())
}

/// Moves a build from `dispatched` to `building`.
pub async fn start(tx: &mut WriteTransaction, id: BuildId) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set status = 'building' where id = ? and status = 'dispatched'",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Requeues a build after a lost attempt or an infrastructure failure, to be dispatched no earlier than a time.
pub async fn requeue(
    tx: &mut WriteTransaction,
    id: BuildId,
    not_before: Option<Millis>,
    explanation: &Explanation,
) -> sqlx::Result<bool> {
    let ready_at = not_before.unwrap_or_else(|| tx.now());
    let result = sqlx::query!(
        "update build set status = 'ready', not_before = ?, ready_at = ?, message = ?, hint = ?
         where id = ? and status in ('dispatched', 'building')",
        not_before,
        ready_at,
        explanation.message,
        explanation.hint,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}
