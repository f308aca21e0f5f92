//! Sharers: builds of later iterations that use the packages of earlier ones.

use buildbtw_model::BuildId;
use sqlx::SqliteExecutor;

use crate::db::{IterationId, WriteTransaction};

/// Detaches the builds of later iterations that waited for the packages of this one, so that they are built
/// themselves. Returns how many of them are ready now.
pub async fn detach_waiting_sharers(
    tx: &mut WriteTransaction,
    id: BuildId,
    iteration: IterationId,
) -> sqlx::Result<u64> {
    sqlx::query!(
        "update build set shared_build_id = null, missing_dependencies = missing_dependencies - 1
         where shared_build_id = ? and status = 'blocked' and iteration_id <> ?",
        id,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    let at = tx.now();
    let result = sqlx::query!(
        "update build set status = 'ready', ready_at = ?
         where status = 'blocked' and missing_dependencies = 0
             and shared_build_id is null and packages_attempt_id is null and iteration_id <> ?
             and id in (select build_id from build_edge where needs_id = ? and kind = 'shared')",
        at,
        iteration,
        id,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from build_edge where needs_id = ? and kind = 'shared'
             and build_id in (select id from build where iteration_id <> ?)",
        id,
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(result.rows_affected())
}

/// Returns whether builds of other iterations wait for packages of an iteration, or have packages of it that their
/// repository does not contain yet.
pub async fn has_open_sharers(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists (
               select 1 from build join attempt on attempt.build_id = build.id
               join build as sharer on sharer.packages_attempt_id = attempt.id
               where build.iteration_id = ?1 and sharer.iteration_id <> ?1
                   and sharer.status not in ('built', 'reused')
           ) or exists (
               select 1 from build join build as sharer on sharer.shared_build_id = build.id
               where build.iteration_id = ?1 and sharer.iteration_id <> ?1
                   and sharer.status not in ('built', 'reused')
           ) as "found!: bool""#,
        iteration,
    )
    .fetch_one(executor)
    .await?;
    Ok(row.found)
}

/// Detaches the finished builds of other iterations that share packages of an iteration.
pub async fn detach_finished_sharers(
    tx: &mut WriteTransaction,
    iteration: IterationId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update build set shared_build_id = null
         where shared_build_id in (select id from build where iteration_id = ?1)
             and iteration_id <> ?1 and status in ('built', 'reused')",
        iteration,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
