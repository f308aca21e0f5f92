//! What builds need of workers: a tag, and memory. Table `memory_need` has what was learned about packages.

use std::time::Duration;

use buildbtw_model::{Architecture, BuildId, Pkgbase, WorkerTag};
use sqlx::SqliteExecutor;

use crate::db::{IterationId, WriteTransaction, json_list};

/// How long a package counts as one that needs much memory: its next version may need less.
pub const MEMORY_KNOWN: Duration = Duration::from_secs(30 * 86_400);

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
/// What was learned from a larger worker stays: a build that was planned before that says nothing new.
pub async fn exceed_memory(
    tx: &mut WriteTransaction,
    build: BuildId,
    memory_mib: u32,
) -> sqlx::Result<()> {
    let at = tx.now();
    let learned_since = at - MEMORY_KNOWN;
    sqlx::query!(
        "update build set exceeded_memory_mib = max(coalesce(exceeded_memory_mib, 0), ?) where id = ?",
        memory_mib,
        build,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into memory_need (architecture, pkgbase, exceeded_mib, learned_at)
         select architecture, pkgbase, exceeded_memory_mib, ?1 from build where id = ?2
         on conflict do update set learned_at = excluded.learned_at,
             exceeded_mib = iif(
                 learned_at > ?3, max(exceeded_mib, excluded.exceeded_mib), excluded.exceeded_mib
             )",
        at,
        build,
        learned_since,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    async fn learned(state: &TestState) -> u32 {
        let query = "select exceeded_mib from memory_need where pkgbase = 'first'";
        let row = sqlx::query_scalar(query).fetch_one(state.database.read());
        row.await.unwrap()
    }

    async fn exceed(state: &TestState, memory_mib: u32) -> u32 {
        let mut tx = state.database.write().await.unwrap();
        let exceeded = exceed_memory(&mut tx, BuildId(1), memory_mib).await;
        exceeded.unwrap();
        tx.commit().await.unwrap();
        learned(state).await
    }

    #[tokio::test]
    async fn a_smaller_worker_does_not_lower_what_a_package_needs() {
        let state = TestState::with_a_build().await;
        assert_eq!(exceed(&state, 8_192).await, 8_192);
        assert_eq!(exceed(&state, 4_096).await, 8_192);
        // A build that was planned before that was learned.
        let planned_before = "update build set exceeded_memory_mib = null";
        state.sql(planned_before).await;
        assert_eq!(exceed(&state, 2_048).await, 8_192);
        // What was learned long ago says nothing about the current version.
        state.sql(planned_before).await;
        state.sql("update memory_need set learned_at = 1").await;
        assert_eq!(exceed(&state, 2_048).await, 2_048);
    }
}
