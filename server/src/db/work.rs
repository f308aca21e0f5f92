//! Table `work`: how long attempts ran, by hour, architecture, person and namespace. Fair shares are computed from it.

use buildbtw_model::{Architecture, AttemptId};
use sqlx::SqliteExecutor;

use crate::time::Millis;

use super::{NamespaceId, WriteTransaction};

/// The length of an hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// The hours that count for fair shares, the current one included.
const COUNTED_HOURS: i64 = 24;
/// How long rows are kept, in hours.
const KEPT_HOURS: i64 = 48;

/// What was done for a namespace.
#[derive(Clone, Debug)]
pub struct WorkRow {
    /// The architecture.
    pub architecture: Architecture,
    /// The name of the token that created the namespace; empty where it is not known.
    pub person: String,
    /// The namespace, if it still exists.
    pub namespace: Option<NamespaceId>,
    /// The milliseconds that its attempts took.
    pub duration: i64,
}

/// Adds the duration of an attempt that has ended. One that never started counts nothing.
pub async fn record(tx: &mut WriteTransaction, attempt: AttemptId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into work (hour, architecture, person, namespace, duration)
         select attempt.finished_at / ?1, build.architecture, coalesce(namespace.created_by, ''),
             namespace.name, max(0, attempt.finished_at - attempt.started_at)
         from attempt cross join build on build.id = attempt.build_id
         cross join iteration on iteration.id = build.iteration_id
         cross join namespace on namespace.id = iteration.namespace_id
         where attempt.id = ?2 and attempt.started_at is not null and attempt.finished_at is not null
         on conflict do update set duration = duration + excluded.duration",
        HOUR_MS,
        attempt,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Adds how long the attempts of a namespace have run that have not ended, before it is deleted with them.
pub async fn record_unfinished(
    tx: &mut WriteTransaction,
    namespace: NamespaceId,
) -> sqlx::Result<()> {
    let at = tx.now();
    sqlx::query!(
        "insert into work (hour, architecture, person, namespace, duration)
         select ?1 / ?2, build.architecture, coalesce(namespace.created_by, ''), namespace.name,
             sum(max(0, ?1 - attempt.started_at))
         from namespace cross join iteration on iteration.namespace_id = namespace.id
         cross join build on build.iteration_id = iteration.id
         cross join attempt on attempt.build_id = build.id
         where namespace.id = ?3 and attempt.status in ('queued', 'running')
             and attempt.started_at is not null
         group by build.architecture
         on conflict do update set duration = duration + excluded.duration",
        at,
        HOUR_MS,
        namespace,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes rows that no share is computed from any more.
pub async fn remove_old(tx: &mut WriteTransaction) -> sqlx::Result<()> {
    let before = tx.now().0 / HOUR_MS - KEPT_HOURS;
    sqlx::query!("delete from work where hour < ?", before)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Returns the work of the last day before a time. Attempts that run count for as long as they have run, at least for
/// as long as they were expected to.
pub async fn of_last_day(
    executor: impl SqliteExecutor<'_>,
    at: Millis,
) -> sqlx::Result<Vec<WorkRow>> {
    let since = at.0 / HOUR_MS - (COUNTED_HOURS - 1);
    sqlx::query_as!(
        WorkRow,
        r#"select work.architecture as "architecture!: Architecture", work.person as "person!",
               namespace.id as "namespace?: NamespaceId", sum(work.duration) as "duration!: i64"
           from work left join namespace on namespace.name = work.namespace
           where work.hour >= ?1 group by 1, 2, 3
           union all
           select build.architecture, coalesce(namespace.created_by, ''), namespace.id,
               sum(max(build.estimate_s * 1000, coalesce(?2 - attempt.started_at, 0)))
           from attempt cross join build on build.id = attempt.build_id
           cross join iteration on iteration.id = build.iteration_id
           cross join namespace on namespace.id = iteration.namespace_id
           where attempt.status in ('queued', 'running') group by 1, 2, 3"#,
        since,
        at,
    )
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    #[tokio::test]
    async fn counts_what_ran_for_a_namespace_that_is_deleted() {
        let state = TestState::with_a_build().await;
        for statement in [
            "update namespace set created_by = 'anna'",
            "insert into attempt (id, build_id, number, claim, worker, token_id, status,
                 lease_expires_at, created_at, started_at)
             values ('0198c0de-0000-7000-8000-000000000001', 1, 1, 'c', 'w', 1, 'running', 1, 1, 3000)",
        ] {
            state.sql(statement).await;
        }
        let mut tx = state.database.write().await.unwrap();
        let at = tx.now();
        record_unfinished(&mut tx, NamespaceId(1)).await.unwrap();
        tx.commit().await.unwrap();
        state.sql("delete from namespace").await;
        let rows = of_last_day(state.database.read(), at).await.unwrap();
        let [row] = rows.as_slice() else {
            panic!("one row: {rows:?}");
        };
        assert_eq!((row.person.as_str(), row.namespace), ("anna", None));
        // The clock goes on between the two times.
        assert!(row.duration >= at.0 - 3_000, "{rows:?}");
    }
}
