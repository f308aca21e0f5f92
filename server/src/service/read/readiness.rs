//! Whether the server can do its work: what `/readyz`, a load balancer and a watchdog ask for.

use std::time::Duration;

use buildbtw_model::api::{HealthCheck, ReadyResponse};

use crate::db::{Database, MIGRATOR, figures};
use crate::disk::MIN_FREE_SPACE;
use crate::state::parts::MonitoringParts;

/// How long the writer of the database may take to answer.
const WRITER_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the results of all checks, at most a second old: that the writer of the database answers, the disk has room,
/// the migrations are applied, and the sources were read once.
pub async fn readiness(parts: MonitoringParts<'_>) -> ReadyResponse {
    parts.readiness.get(check_all(parts)).await
}

async fn check_all(parts: MonitoringParts<'_>) -> ReadyResponse {
    let (writer, migrations) = tokio::join!(writer(parts.database), migrations(parts));
    let checks = [
        ("writer", writer),
        ("disk", disk(parts)),
        ("migrations", migrations),
        ("sources", sources(parts)),
        ("shutdown", shutdown(parts)),
    ];
    ReadyResponse {
        ready: checks.iter().all(|(_, result)| result.is_ok()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        checks: checks
            .into_iter()
            .map(|(name, result)| HealthCheck {
                name: name.to_owned(),
                ok: result.is_ok(),
                problem: result.err(),
            })
            .collect(),
    }
}

/// Begins a write transaction, which waits for the earlier ones and takes SQLite's lock, and ends it without changes.
///
/// # Errors
/// When the writer does not answer in time, or the database cannot be written.
pub async fn writer(database: &Database) -> Result<(), String> {
    let write = async { database.write().await?.undo().await };
    match tokio::time::timeout(WRITER_TIMEOUT, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the database cannot be written: {error}")),
        Err(_) => {
            let seconds = WRITER_TIMEOUT.as_secs();
            Err(format!(
                "the writer of the database did not answer within {seconds} s"
            ))
        }
    }
}

fn disk(parts: MonitoringParts<'_>) -> Result<(), String> {
    let unknown = |error| format!("the disk of the data folder cannot be measured: {error}");
    if let Some(shortage) = parts.disk.shortage().map_err(unknown)? {
        return Err(shortage.failure().to_string());
    }
    let space = parts.disk.space().map_err(unknown)?;
    if parts.disk.reserve() > 0 || space.available >= MIN_FREE_SPACE {
        return Ok(());
    }
    let (left, least) = (space.available >> 20, MIN_FREE_SPACE >> 20);
    Err(format!(
        "the disk of the data folder has {left} MiB left, less than {least} MiB"
    ))
}

async fn migrations(parts: MonitoringParts<'_>) -> Result<(), String> {
    let newest = MIGRATOR.iter().map(|migration| migration.version).max();
    match figures::applied_migration(parts.database.read()).await {
        Ok(applied) if applied == newest => Ok(()),
        Ok(applied) => Err(other_migration(applied, newest)),
        Err(error) => Err(format!("the database cannot be read: {error}")),
    }
}

/// Returns the problem of a database whose newest migration, `applied`, is not the program's, `newest`.
fn other_migration(applied: Option<i64>, newest: Option<i64>) -> String {
    let name = |version: Option<i64>| version.map_or("none".to_owned(), |it| it.to_string());
    format!(
        "the newest migration of the database is {}, and of the program {}",
        name(applied),
        name(newest)
    )
}

fn sources(parts: MonitoringParts<'_>) -> Result<(), String> {
    let status = parts.sources.status();
    match status {
        status if status.complete => Ok(()),
        status => Err(match status.outage {
            Some(outage) => format!(
                "the sources have not been read yet: {}",
                outage.cause.message
            ),
            None => "the sources have not been read yet".to_owned(),
        }),
    }
}

fn shutdown(parts: MonitoringParts<'_>) -> Result<(), String> {
    if parts.shutdown.is_cancelled() {
        Err("the server is stopping".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestState;

    #[test]
    fn names_both_migrations() {
        insta::assert_snapshot!(
            other_migration(Some(20_260_101_000_000), Some(20_260_201_000_000)),
            @"the newest migration of the database is 20260101000000, and of the program 20260201000000"
        );
        insta::assert_snapshot!(
            other_migration(None, Some(20_260_201_000_000)),
            @"the newest migration of the database is none, and of the program 20260201000000"
        );
    }

    fn problem(readiness: &ReadyResponse, name: &str) -> Option<String> {
        let mut checks = readiness.checks.iter();
        checks
            .find(|check| check.name == name)
            .unwrap()
            .problem
            .clone()
    }

    #[tokio::test]
    async fn is_not_ready_before_the_sources_are_read_and_while_it_stops() {
        let state = TestState::new().await;
        let found = check_all(state.monitoring_parts()).await;
        assert!(
            problem(&found, "sources")
                .unwrap()
                .contains("not been read yet")
        );
        for name in ["writer", "disk", "migrations", "shutdown"] {
            assert_eq!(problem(&found, name), None);
        }
        assert!(!found.ready);
        state.shutdown.cancel();
        let found = check_all(state.monitoring_parts()).await;
        assert!(problem(&found, "shutdown").is_some());
    }

    #[tokio::test]
    async fn is_not_ready_when_the_database_cannot_be_read() {
        let state = TestState::new().await;
        state.database.close().await;
        let found = check_all(state.monitoring_parts()).await;
        assert!(problem(&found, "migrations").is_some());
        assert!(!found.ready);
    }

    #[tokio::test]
    async fn is_not_ready_while_the_writer_hangs() {
        let state = TestState::new().await;
        let held = state.database.write().await.unwrap();
        // Skips the wait.
        tokio::time::pause();
        let problem = writer(&state.database).await.unwrap_err();
        assert!(problem.contains("did not answer"), "{problem}");
        drop(held);
    }
}
