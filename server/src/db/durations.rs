//! How long builds took, from table `attempt`.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, Pkgbase};
use buildbtw_planner::Estimate;
use sqlx::SqliteExecutor;

use super::IterationId;

/// How many of the newest successful builds count, of all packages together: plans must not take longer over time.
const NEWEST: i64 = 50_000;

/// Returns the estimates for an architecture, by pkgbase, from the last ten successful builds of each.
pub async fn estimates(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
) -> sqlx::Result<HashMap<Pkgbase, Estimate>> {
    of_newest(executor, architecture, NEWEST).await
}

/// Returns the estimates from the `newest` successful builds.
async fn of_newest(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    newest: i64,
) -> sqlx::Result<HashMap<Pkgbase, Estimate>> {
    let rows = sqlx::query!(
        r#"select pkgbase as "pkgbase!: Pkgbase", ms as "ms!: i64" from (
               select build.pkgbase, recent.finished_at - recent.started_at as ms,
                   row_number() over (
                       partition by build.pkgbase order by recent.finished_at desc
                   ) as place
               from (
                   select build_id, started_at, finished_at from attempt
                   where status = 'succeeded' and started_at is not null
                       and finished_at is not null
                   order by finished_at desc limit ?2
               ) as recent
               cross join build on build.id = recent.build_id
               where build.architecture = ?1
           ) where place <= 10"#,
        architecture,
        newest,
    )
    .fetch_all(executor)
    .await?;
    let mut durations: HashMap<Pkgbase, Vec<u64>> = HashMap::new();
    for row in rows {
        let known = durations.entry(row.pkgbase).or_default();
        known.push(seconds(row.ms));
    }
    let estimates = durations.into_iter();
    Ok(estimates
        .filter_map(|(pkgbase, known)| Some((pkgbase, Estimate::of_builds(known)?)))
        .collect())
}

/// Returns how long the builds took that an iteration built itself, in seconds.
pub async fn of_iteration(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<HashMap<BuildId, u64>> {
    let rows = sqlx::query!(
        r#"select build.id as "build!: BuildId",
               attempt.finished_at - attempt.started_at as "ms!: i64"
           from build join attempt on attempt.id = build.packages_attempt_id
           where build.iteration_id = ? and build.status = 'built'
               and attempt.build_id = build.id and attempt.started_at is not null
               and attempt.finished_at is not null"#,
        iteration,
    )
    .fetch_all(executor)
    .await?;
    let durations = rows.into_iter().map(|row| (row.build, seconds(row.ms)));
    Ok(durations.collect())
}

/// Converts a duration. It has at least a second, also where a clock was set back, so that a long chain of short builds
/// still has a duration.
fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1_000).map_or(1, |seconds| seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    #[tokio::test]
    async fn estimates_from_the_last_ten_successful_builds() {
        let state = TestState::with_a_build().await;
        // Twelve builds of 1, 2, … 12 minutes, of which the oldest two count no more; one that failed.
        for statement in [
            "insert into build (id, iteration_id, architecture, pkgbase, stage, level, position,
                 commit_hash, commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s,
                 priority_s, status, missing_dependencies)
             select 2, 1, 'x86_64', 'new', 1, 0, 1, commit_hash, 1, 'u', srcinfo_sha256, '1-1', 'new',
                 1, 1, 'ready', 0 from build",
            "with recursive minutes (n) as (values (1) union all select n + 1 from minutes where n < 12)
             insert into attempt (id, build_id, number, claim, worker, token_id, status,
                 lease_expires_at, created_at, started_at, finished_at)
             select '0198c0de-0000-7000-8000-' || printf('%012d', n), 1, n, 'c' || n, 'w', 1,
                 'succeeded', 1, 1, 1000000 * n, 1000000 * n + 60000 * n from minutes",
            "insert into attempt (id, build_id, number, claim, worker, token_id, status,
                 lease_expires_at, created_at, started_at, finished_at)
             values ('0198c0de-0000-7000-8000-000000000099', 1, 99, 'c99', 'w', 1, 'failed', 1, 1, 0,
                 900000000)",
        ] {
            state.sql(statement).await;
        }
        let reader = state.database.read();
        let architecture: Architecture = "x86_64".parse().unwrap();
        let estimates = super::estimates(reader, &architecture).await.unwrap();
        let expected = Estimate {
            low_s: 5 * 60,
            seconds: 7 * 60,
            high_s: 10 * 60,
        };
        let pkgbase: Pkgbase = "first".parse().unwrap();
        assert_eq!(estimates, HashMap::from([(pkgbase, expected)]));
        let of_last_two = of_newest(reader, &architecture, 2).await.unwrap();
        let expected = Estimate {
            low_s: 11 * 40,
            seconds: 11 * 60,
            high_s: 18 * 60,
        };
        let pkgbase: Pkgbase = "first".parse().unwrap();
        assert_eq!(of_last_two, HashMap::from([(pkgbase, expected)]));
        let other: Architecture = "aarch64".parse().unwrap();
        assert!(super::estimates(reader, &other).await.unwrap().is_empty());
        // The build has none of these packages yet.
        let ended = of_iteration(reader, IterationId(1)).await.unwrap();
        assert!(ended.is_empty());
        state
            .sql(
                "update build set status = 'built',
                     packages_attempt_id = '0198c0de-0000-7000-8000-000000000003' where id = 1",
            )
            .await;
        let ended = of_iteration(reader, IterationId(1)).await.unwrap();
        assert_eq!(ended, HashMap::from([(BuildId(1), 180)]));
    }
}
