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
/// say nothing about a package.
pub async fn last_failures(
    executor: impl SqliteExecutor<'_>,
    architecture: &Architecture,
    pkgbases: &[&Pkgbase],
) -> sqlx::Result<HashMap<Pkgbase, LastFailure>> {
    let pkgbases = json_list(pkgbases)?;
    // Next to max(), SQLite takes the other columns from the row that has it.
    let rows = sqlx::query!(
        r#"select build.pkgbase as "pkgbase!: Pkgbase", max(attempt.finished_at) as "at!: Millis",
           attempt.id as "attempt!: AttemptId", attempt.status as "status!: AttemptStatus", attempt.message,
           namespace.name as "namespace!: NamespaceName"
           from attempt
           join build on build.id = attempt.build_id
           join iteration on iteration.id = build.iteration_id
           join namespace on namespace.id = iteration.namespace_id
           where attempt.status in ('succeeded', 'failed') and attempt.finished_at is not null
               and build.architecture = ? and build.pkgbase in (select value from json_each(?))
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
