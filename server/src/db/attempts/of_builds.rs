//! The attempts of several builds.

use buildbtw_model::{AttemptId, AttemptStatus, BuildId, FailureKind, WorkerName};
use sqlx::SqliteExecutor;

use crate::db::{IterationId, TokenId, json_list};
use crate::time::Millis;

use super::AttemptRow;

/// Returns the newest attempt of each of some builds.
pub async fn newest_of_builds(
    executor: impl SqliteExecutor<'_>,
    builds: &[BuildId],
) -> sqlx::Result<Vec<AttemptRow>> {
    let builds = json_list(builds)?;
    select_attempt!(
        "where build_id in (select value from json_each(?)) and number =
             (select max(number) from attempt as other where other.build_id = attempt.build_id)",
        builds
    )
    .fetch_all(executor)
    .await
}

/// Returns when the running builds of an iteration started.
pub async fn starts_of_running(
    executor: impl SqliteExecutor<'_>,
    iteration: IterationId,
) -> sqlx::Result<Vec<(BuildId, Millis)>> {
    let rows = sqlx::query!(
        r#"select build.id as "build!: BuildId", attempt.started_at as "started_at!: Millis"
           from build join attempt on attempt.build_id = build.id
           where build.iteration_id = ? and build.status = 'building'
               and attempt.status = 'running' and attempt.started_at is not null"#,
        iteration,
    )
    .fetch_all(executor)
    .await?;
    let starts = rows.into_iter().map(|row| (row.build, row.started_at));
    Ok(starts.collect())
}
