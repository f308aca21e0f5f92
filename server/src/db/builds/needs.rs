//! What builds need of workers: a tag, and memory. Table `memory_need` has what was learned about packages.

use buildbtw_model::{Architecture, BuildId, Pkgbase, WorkerTag};
use sqlx::SqliteExecutor;

use crate::db::{IterationId, WriteTransaction, json_list};

/// What ready builds of an architecture need.
#[derive(Clone, Debug)]
pub struct Need {
    /// The architecture.
    pub architecture: Architecture,
    /// The tag that workers must have.
    pub tag: Option<WorkerTag>,
    /// The memory in MiB that does not suffice.
    pub exceeded_memory_mib: Option<u32>,
}

/// Returns what the ready builds of an iteration need, each combination once.
pub async fn ready_needs(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<Need>> {
    sqlx::query_as!(
        Need,
        r#"select distinct architecture as "architecture: Architecture", tag as "tag: WorkerTag",
               exceeded_memory_mib as "exceeded_memory_mib: u32"
           from build where iteration_id = ? and status = 'ready'"#,
        iteration,
    )
    .fetch_all(executor)
    .await
}

/// Returns the tag that workers need to build it.
pub async fn tag_of(
    executor: impl SqliteExecutor<'_>,
    build: BuildId,
) -> sqlx::Result<Option<WorkerTag>> {
    let row = sqlx::query!(
        r#"select tag as "tag: WorkerTag" from build where id = ?"#,
        build
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.and_then(|row| row.tag))
}

/// Records that a build was killed where it could use this much memory, for itself and for later builds of its package.
pub async fn exceed_memory(
    tx: &mut WriteTransaction,
    build: BuildId,
    memory_mib: u32,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "update build set exceeded_memory_mib = ? where id = ?",
        memory_mib,
        build,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into memory_need (architecture, pkgbase, exceeded_mib, learned_at)
         select architecture, pkgbase, exceeded_memory_mib, ? from build where id = ?
         on conflict do update set exceeded_mib = excluded.exceeded_mib,
             learned_at = excluded.learned_at",
        at,
        build,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Returns the packages with builds that have no packages yet, with the tag that each of these builds needs.
pub async fn open_pkgbases(
    executor: impl SqliteExecutor<'_>,
) -> sqlx::Result<Vec<(Pkgbase, Option<WorkerTag>)>> {
    let rows = sqlx::query!(
        r#"select distinct build.pkgbase as "pkgbase!: Pkgbase", build.tag as "tag: WorkerTag"
           from iteration cross join build on build.iteration_id = iteration.id
           where iteration.superseded_by is null and build.status not in ('built', 'reused')"#
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.pkgbase, row.tag)).collect())
}

/// Sets the tags that builds of some packages need, as far as they have no packages yet.
pub async fn set_tags(
    tx: &mut WriteTransaction,
    tags: &[(Pkgbase, Option<WorkerTag>)],
) -> sqlx::Result<()> {
    let tags = json_list(tags)?;
    sqlx::query!(
        "update build set tag = given.value ->> 1 from json_each(?) as given
         where build.pkgbase = given.value ->> 0 and build.status not in ('built', 'reused')",
        tags,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
