//! Changes of builds: how they end, are requeued, and unblock their dependents. Every change of a status is one
//! guarded statement that names the status it expects; the caller learns where it applied.

use buildbtw_model::{AttemptId, BuildId, BuildStatus, Explanation, PackageVersion, Pkgbase};

use crate::db::{IterationId, NamespaceId, WriteTransaction, json_list};

/// Cancels every build of an iteration that has not been dispatched and has no packages.
pub async fn cancel_unstarted(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    message: &str,
) -> sqlx::Result<u64> {
    let at = tx.now();
    let result = sqlx::query!(
        "update build set status = 'cancelled', message = ?, hint = null, finished_at = ?
         where iteration_id = ? and status in ('blocked', 'ready') and packages_attempt_id is null",
        message,
        at,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Requeues the failed builds of an iteration, and those in backoff after an infrastructure failure: all of them,
/// or those of one pkgbase. Returns them.
pub async fn retry(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    pkgbase: Option<&Pkgbase>,
) -> sqlx::Result<Vec<BuildId>> {
    let at = tx.now();
    let rows = sqlx::query!(
        r#"update build set status = 'ready', not_before = null, message = null, hint = null, finished_at = null,
               ready_at = ?3,
               attempts_before_retry = (select coalesce(max(number), 0) from attempt where build_id = build.id)
           where iteration_id = ?1 and (?2 is null or pkgbase = ?2)
               and (status = 'failed' or (status = 'ready' and not_before is not null))
           returning id as "id: BuildId""#,
        iteration,
        pkgbase,
        at,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Requeues one build that failed, was cancelled or is in backoff.
pub async fn retry_one(tx: &mut WriteTransaction, id: BuildId) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update build set status = 'ready', not_before = null, message = null, hint = null, finished_at = null,
             ready_at = ?, attempts_before_retry = (select coalesce(max(number), 0) from attempt where build_id = build.id)
         where id = ? and packages_attempt_id is null and missing_dependencies = 0
             and status in ('failed', 'cancelled', 'ready')",
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Blocks the cancelled builds of an iteration again, and returns those that no longer wait for any build: they
/// are `ready` now, except those that share the packages of another build.
pub async fn resume(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<Vec<Unblocked>> {
    sqlx::query!(
        "update build set status = 'blocked', not_before = null, message = null, hint = null, finished_at = null,
             attempts_before_retry = (select coalesce(max(number), 0) from attempt where build_id = build.id)
         where iteration_id = ? and status = 'cancelled'",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    let at = tx.now();
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end, ready_at = ?
           where iteration_id = ? and status = 'blocked' and missing_dependencies = 0
               and packages_attempt_id is null
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId",
               iteration_id as "iteration_id!: IterationId", (
                   select namespace_id from iteration where iteration.id = build.iteration_id
               ) as "namespace_id!: NamespaceId""#,
        at,
        iteration,
    )
    .fetch_all(tx.connection())
    .await
}

/// Ends a dispatched build with `failed` or `cancelled`.
pub async fn end_without_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    status: BuildStatus,
    explanation: &Explanation,
) -> sqlx::Result<bool> {
    let at = tx.now();
    let result = sqlx::query!(
        "update build set status = ?, message = ?, hint = ?, finished_at = ?
         where id = ? and status in ('dispatched', 'building')",
        status,
        explanation.message,
        explanation.hint,
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Stores the attempt whose packages a build has; its status changes when the repository lists them.
pub async fn accept_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    attempt: AttemptId,
    version: &PackageVersion,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set packages_attempt_id = ?, version = ? where id = ?
         and packages_attempt_id is null and status in ('blocked', 'dispatched', 'building')",
        attempt,
        version,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Moves builds to `built`, or to `reused` for packages of another build, once the repository lists them. Returns
/// those whose status changed.
pub async fn complete(tx: &mut WriteTransaction, ids: &[BuildId]) -> sqlx::Result<Vec<BuildId>> {
    let at = tx.now();
    let ids = json_list(ids)?;
    let rows = sqlx::query!(
        r#"update build set message = null, hint = null, finished_at = ?,
               status = case when exists (
                   select 1 from attempt
                   where attempt.id = build.packages_attempt_id and attempt.build_id = build.id
               ) then 'built' else 'reused' end
           where id in (select value from json_each(?)) and packages_attempt_id is not null
               and status in ('blocked', 'dispatched', 'building')
           returning id as "id: BuildId""#,
        at,
        ids,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Fails a finished build whose packages no longer exist, so that it can be retried. Builds that used the packages
/// stay as they are.
pub async fn discard_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    message: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update build set status = 'failed', packages_attempt_id = null, shared_build_id = null,
             message = ?, hint = null where id = ? and status in ('built', 'reused')",
        message,
        id,
    )
    .execute(tx.connection())
    .await?;
    // Dependents that have not been dispatched wait for it again.
    sqlx::query!(
        "update build set missing_dependencies = missing_dependencies + 1,
             status = case when status = 'ready' then 'blocked' else status end
         where id in (select build_id from build_edge where needs_id = ?)",
        id,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update iteration set status = 'failed'
         where id = (select iteration_id from build where id = ?) and status = 'done'",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A build that no longer waits for any other.
#[derive(Clone, Debug)]
pub struct Unblocked {
    /// The build.
    pub id: BuildId,
    /// Its namespace.
    pub namespace_id: NamespaceId,
    /// Its iteration.
    pub iteration_id: IterationId,
    /// The build of another architecture whose packages it shares, instead of being built.
    pub shared_build_id: Option<BuildId>,
}

/// Unblocks the dependents of completed builds, and returns those that no longer wait for any build: they are
/// `ready` now, except those that share the packages of another build.
pub async fn unblock_dependents(
    tx: &mut WriteTransaction,
    completed: &[BuildId],
) -> sqlx::Result<Vec<Unblocked>> {
    let completed = json_list(completed)?;
    sqlx::query!(
        // Grouped first: counting per dependent would read all completed builds once for each of them.
        "update build set missing_dependencies = missing_dependencies - edge.completed
         from (
             select build_id, count(*) as completed from build_edge
             where needs_id in (select value from json_each(?)) group by build_id
         ) as edge
         where build.id = edge.build_id",
        completed,
    )
    .execute(tx.connection())
    .await?;
    let at = tx.now();
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end, ready_at = ?
           where status = 'blocked' and missing_dependencies = 0 and packages_attempt_id is null
               and id in (
                   select build_id from build_edge
                   where needs_id in (select value from json_each(?))
               )
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId",
               iteration_id as "iteration_id!: IterationId", (
                   select namespace_id from iteration where iteration.id = build.iteration_id
               ) as "namespace_id!: NamespaceId""#,
        at,
        completed,
    )
    .fetch_all(tx.connection())
    .await
}

/// Returns whether a build of an iteration is ready, dispatched, or about to be published.
pub async fn can_progress(tx: &mut WriteTransaction, iteration: IterationId) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists (
               select 1 from build where iteration_id = ? and (
                   status in ('ready', 'dispatched', 'building')
                   or (status = 'blocked' and packages_attempt_id is not null)
               )
           ) as "found!: bool""#,
        iteration,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Counts of the builds of an iteration that have no packages.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// Those that failed.
    pub failed: i64,
    /// All of them, regardless of their status.
    pub all: i64,
}

/// Counts the builds of an iteration that have no packages. Reads all of its builds.
pub async fn unfinished(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<Unfinished> {
    sqlx::query_as!(
        Unfinished,
        r#"select count(*) filter (where status = 'failed') as "failed!",
               count(*) filter (where status not in ('built', 'reused')) as "all!"
           from build where iteration_id = ?"#,
        iteration,
    )
    .fetch_one(tx.connection())
    .await
}
