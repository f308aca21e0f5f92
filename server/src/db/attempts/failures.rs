//! The failures of packages.

use std::collections::HashMap;

use buildbtw_model::{Architecture, AttemptId, AttemptStatus, NamespaceName, Pkgbase};
use sqlx::SqliteExecutor;

use crate::db::json_list;
use crate::time::Millis;

/// A failed attempt.
#[derive(Clone, Debug)]
pub struct LastFailure {
    /// The attempt.
    pub attempt: AttemptId,
    /// The namespace it was made for.
    pub namespace: NamespaceName,
    /// The message of its failure.
    pub message: Option<String>,
    /// When it ended.
    pub at: Millis,
}

/// Returns those of some packages whose newest attempt for an architecture failed, with it. Attempts that were lost
/// say nothing about a package. Only its last 20 builds count.
pub async fn last_failures(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    pkgbases: &[&Pkgbase],
) -> sqlx::Result<HashMap<Pkgbase, LastFailure>> {
    let pkgbases = json_list(pkgbases)?;
    // A cross join keeps this order: per package, the top of one index, however many builds there are.
    // Next to max(), SQLite takes the other columns from the row that has it.
    let rows = sqlx::query!(
        r#"select build.pkgbase as "pkgbase!: Pkgbase", max(attempt.finished_at) as "at!: Millis",
           attempt.id as "attempt!: AttemptId", attempt.status as "status!: AttemptStatus", attempt.message,
           namespace.name as "namespace!: NamespaceName"
           from json_each(?2) as wanted cross join build on build.id in (
               select recent.id from build as recent
               where recent.architecture = ?1 and recent.pkgbase = wanted.value
                   and recent.status not in ('blocked', 'reused')
               order by recent.id desc limit 20
           )
           cross join attempt on attempt.build_id = build.id
           cross join iteration on iteration.id = build.iteration_id
           cross join namespace on namespace.id = iteration.namespace_id
           where attempt.status in ('succeeded', 'failed') and attempt.finished_at is not null
           group by build.pkgbase"#,
        architecture,
        pkgbases,
    )
    .fetch_all(executor)
    .await?;
    let failed = rows
        .into_iter()
        .filter(|row| row.status == AttemptStatus::Failed);
    Ok(failed
        .map(|row| {
            let failure = LastFailure {
                attempt: row.attempt,
                namespace: row.namespace,
                message: row.message,
                at: row.at,
            };
            (row.pkgbase, failure)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    #[tokio::test]
    async fn reads_the_last_builds_only() {
        let state = TestState::with_a_build().await;
        for statement in [
            "with recursive stages (n) as (values (2) union all select n + 1 from stages where n < 21)
             insert into build (id, iteration_id, architecture, pkgbase, stage, level, position,
                 commit_hash, commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s,
                 priority_s, status, missing_dependencies)
             select n, 1, 'x86_64', 'first', n, 0, 1, commit_hash, 1, 'u', srcinfo_sha256, '1-1', 'r',
                 1, 1, 'ready', 0 from stages cross join build",
            "insert into attempt (id, build_id, number, claim, worker, token_id, status, message,
                 lease_expires_at, created_at, started_at, finished_at)
             values ('0198c0de-0000-7000-8000-000000000001', 1, 1, 'c', 'w', 1, 'failed', 'm', 1, 1, 1, 2)",
        ] {
            state.sql(statement).await;
        }
        let architecture: Architecture = "x86_64".parse().unwrap();
        let pkgbase: Pkgbase = "first".parse().unwrap();
        let failures = async || {
            let reader = state.database.read();
            last_failures(reader, &architecture, &[&pkgbase])
                .await
                .unwrap()
        };
        assert!(failures().await.is_empty());
        state
            .sql("update build set status = 'blocked' where id = 21")
            .await;
        let found = failures().await;
        let failure = found.get(&pkgbase).unwrap();
        assert_eq!(failure.message.as_deref(), Some("m"));
        assert_eq!(failure.at, Millis(2));
    }
}
