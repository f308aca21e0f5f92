//! How builds end, wait again, and let others go on. Every change of a status is one guarded
//! statement that says which status it expects; the caller learns where it applied.

use buildbtw_model::{AttemptId, BuildId, BuildStatus, PackageVersion, Pkgbase};

use crate::db::{IterationId, WriteTransaction, json_list};
use crate::time::Millis;

/// Cancels every build of an iteration that nobody has begun and that has no packages.
pub async fn cancel_unstarted(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    message: &str,
) -> sqlx::Result<u64> {
    let at = Millis::now();
    let result = sqlx::query!(
        "update build set status = 'cancelled', message = ?, finished_at = ?
         where iteration_id = ? and status in ('blocked', 'ready') and packages_attempt_id is null",
        message,
        at,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Makes failed builds of an iteration ready again, and those that pause after an infrastructure
/// failure; all of them, or those of one pkgbase. Returns them.
pub async fn retry(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    pkgbase: Option<&Pkgbase>,
) -> sqlx::Result<Vec<BuildId>> {
    let rows = sqlx::query!(
        r#"update build set status = 'ready', not_before = null, message = null, finished_at = null,
               tried_before = (select coalesce(max(number), 0) from attempt where build_id = build.id)
           where iteration_id = ?1 and (?2 is null or pkgbase = ?2)
               and (status = 'failed' or (status = 'ready' and not_before is not null))
           returning id as "id: BuildId""#,
        iteration,
        pkgbase,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Makes one build ready again that failed, was cancelled or pauses.
pub async fn retry_one(tx: &mut WriteTransaction, id: BuildId) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update build set status = 'ready', not_before = null, message = null, finished_at = null,
             tried_before = (select coalesce(max(number), 0) from attempt where build_id = build.id)
         where id = ? and packages_attempt_id is null and missing = 0
             and status in ('failed', 'cancelled', 'ready')",
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Makes cancelled builds of an iteration wait again; returns those that wait for nothing any more.
/// They are `ready` now, except those that take the packages of another build.
pub async fn resume(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<Vec<Unblocked>> {
    sqlx::query!(
        "update build set status = 'blocked', not_before = null, message = null, finished_at = null,
             tried_before = (select coalesce(max(number), 0) from attempt where build_id = build.id)
         where iteration_id = ? and status = 'cancelled'",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end
           where iteration_id = ? and status = 'blocked' and missing = 0
               and packages_attempt_id is null
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId""#,
        iteration,
    )
    .fetch_all(tx.connection())
    .await
}

/// Ends a build that is handed out with `failed` or `cancelled`.
pub async fn end_without_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    status: BuildStatus,
    message: &str,
) -> sqlx::Result<bool> {
    let at = Millis::now();
    let result = sqlx::query!(
        "update build set status = ?, message = ?, finished_at = ?
         where id = ? and status in ('dispatched', 'building')",
        status,
        message,
        at,
        id,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Gives a build the packages of an attempt; its status follows when the repository lists them.
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

/// `-> built`, or `-> reused` for packages of another build, once the repository lists them. Returns
/// those for which it was so.
pub async fn complete(tx: &mut WriteTransaction, ids: &[BuildId]) -> sqlx::Result<Vec<BuildId>> {
    let at = Millis::now();
    let ids = json_list(ids);
    let rows = sqlx::query!(
        r#"update build set message = null, finished_at = ?,
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

/// Takes a finished build's packages away because they are not there any more, so that it can be
/// tried again. Builds that were made with them stay as they are.
pub async fn discard_packages(
    tx: &mut WriteTransaction,
    id: BuildId,
    message: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update build set status = 'failed', packages_attempt_id = null, shared_build_id = null,
             message = ? where id = ? and status in ('built', 'reused')",
        message,
        id,
    )
    .execute(tx.connection())
    .await?;
    // Its dependents wait for it again, as far as they have not begun.
    sqlx::query!(
        "update build set missing = missing + 1,
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

/// A build that waits for nothing any more.
#[derive(Clone, Debug)]
pub struct Unblocked {
    /// The build.
    pub id: BuildId,
    /// The build of another architecture whose packages it takes, instead of being built.
    pub shared_build_id: Option<BuildId>,
}

/// Tells the dependents of completed builds, and returns those that wait for nothing any more.
/// They are `ready` now, except those that take the packages of another build.
pub async fn unblock_dependents(
    tx: &mut WriteTransaction,
    completed: &[BuildId],
) -> sqlx::Result<Vec<Unblocked>> {
    let completed = json_list(completed);
    sqlx::query!(
        "update build set missing = missing - (
             select count(*) from build_edge
             where build_id = build.id and needs_id in (select value from json_each(?1))
         )
         where id in (
             select build_id from build_edge where needs_id in (select value from json_each(?1))
         )",
        completed,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query_as!(
        Unblocked,
        r#"update build
           set status = case when shared_build_id is null then 'ready' else status end
           where status = 'blocked' and missing = 0 and packages_attempt_id is null
               and id in (
                   select build_id from build_edge
                   where needs_id in (select value from json_each(?))
               )
           returning id as "id: BuildId", shared_build_id as "shared_build_id: BuildId""#,
        completed,
    )
    .fetch_all(tx.connection())
    .await
}

/// Whether a build of an iteration is ready, handed out, or about to be published.
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

/// How many builds of an iteration have no packages.
#[derive(Clone, Copy, Debug)]
pub struct Unfinished {
    /// Those that failed.
    pub failed: i64,
    /// All of them, whatever the status.
    pub all: i64,
}

/// What an iteration lacks. Looks at all of its builds.
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
