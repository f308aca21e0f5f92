//! Dispatch of builds: candidates, and the transitions from `ready` to `building` and back.

use buildbtw_model::{Architecture, BuildId, Explanation, WorkerName};
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
    /// Its remaining critical path, in seconds.
    pub priority_s: i64,
    /// The number of dispatched builds of its namespace.
    pub namespace_load: i64,
    /// The worker of its last attempt, if that was lost or failed because of the infrastructure.
    pub failed_on: Option<WorkerName>,
    /// The end of its backoff after that.
    pub not_before: Option<Millis>,
}

/// Returns the builds of an architecture that are ready at a time: of each iteration the `limit` with the highest
/// priority.
pub async fn candidates(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    limit: i64,
    at: Millis,
) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"with load as (
               select iteration.namespace_id, count(*) as running
               from build join iteration on iteration.id = build.iteration_id
               where build.status in ('dispatched', 'building') group by 1
           )
           select build.id as "id!: BuildId", iteration.namespace_id as "namespace!: NamespaceId",
               build.priority_s as "priority_s!: i64",
               coalesce(load.running, 0) as "namespace_load!: i64",
               build.not_before as "not_before: Millis",
               case when build.not_before is not null then (
                   select worker from attempt where attempt.build_id = build.id
                   order by number desc limit 1
               ) end as "failed_on: WorkerName"
           -- A cross join keeps this order: per iteration, the top of one index.
           from iteration cross join build on build.id in (
               select top.id from build as top
               where top.status = 'ready' and top.architecture = ?1
                   and top.iteration_id = iteration.id
                   and (top.not_before is null or top.not_before <= ?2)
               order by top.priority_s desc, top.id limit ?3
           )
           left join load on load.namespace_id = iteration.namespace_id
           where iteration.status = 'running'"#,
        architecture,
        at,
        limit,
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
