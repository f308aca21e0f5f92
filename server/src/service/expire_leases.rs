//! Expires leases: requeues builds whose workers sent no heartbeat in time.

use std::time::Instant;

use buildbtw_model::{AttemptId, WorkerName};

use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::state::parts::AttemptParts;
use crate::time::Millis;

use super::failed_attempt::remove_uploads;
use super::transitions::Transition;

/// Marks every attempt as lost whose lease had expired by a time. GitLab is queried first for attempts that run as
/// jobs: why a job ended decides whether its build is retried. Returns when the next lease expires.
///
/// # Errors
/// When the database cannot be used.
pub async fn expire_leases(parts: AttemptParts<'_>, at: Millis) -> Result<Option<Millis>, Error> {
    let mut expired = attempts::expired(parts.database.read(), at).await?;
    if let Some(on_gitlab) = parts.pipelines
        && !expired.is_empty()
    {
        let asked = pipelines::expired(parts.database.read(), at).await?;
        let is_asked = |id| asked.iter().any(|row| row.attempt == id);
        expired.retain(|attempt| !is_asked(attempt.id));
        if !asked.is_empty() {
            on_gitlab.stop();
        }
    }
    for attempt in expired {
        expire(parts, attempt.id).await?;
    }
    Ok(attempts::next_expiry(parts.database.read(), at).await?)
}

/// Marks an attempt as lost if its lease has expired. Returns whether it has.
///
/// # Errors
/// When the database cannot be used.
pub async fn expire(parts: AttemptParts<'_>, attempt: AttemptId) -> Result<bool, Error> {
    let asked = Instant::now();
    let mut tx = parts.database.write().await?;
    if asked.elapsed() > parts.config.lease / 3 {
        // Heartbeats had to wait behind the same large write.
        drop(tx);
        renew_leases(parts).await?;
        return Ok(false);
    }
    // A heartbeat may have arrived meanwhile.
    let current = attempts::by_id(tx.connection(), attempt).await?;
    let Some(current) = current.filter(|row| row.lease_expires_at <= parts.database.clock().now())
    else {
        return Ok(false);
    };
    let build = builds::by_id(tx.connection(), current.build).await?;
    let message = lost_contact(&current.worker);
    let Some(build) = build else {
        return Ok(false);
    };
    let mut transition = Transition::of(tx);
    if !transition.mark_lost(&build, &current, &message).await? {
        return Ok(false);
    }
    let conclusion = parts.logs.conclude(attempt).await;
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    parts.announcer.metrics.builds.lease_expired();
    tracing::warn!(
        attempt.id = %current.id,
        worker.name = current.worker.as_str(),
        build.pkgbase = build.pkgbase.as_str(),
        "lease expired"
    );
    conclusion.write(&message).await?;
    remove_uploads(parts.repos, attempt).await;
    Ok(true)
}

/// Returns the message of an attempt whose worker sent no heartbeat in time.
pub(super) fn lost_contact(worker: &WorkerName) -> String {
    format!("lost contact with worker {worker}")
}

/// Renews all leases, because workers had no chance to do so. Returns their number.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew_leases(parts: AttemptParts<'_>) -> Result<u64, Error> {
    let mut tx = parts.database.write().await?;
    let lease = parts.database.clock().now() + parts.config.lease;
    let renewed = attempts::renew_all_leases(&mut tx, lease).await?;
    tx.commit().await?;
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use buildbtw_model::{AttemptStatus, BuildId, BuildStatus};

    use super::*;
    use crate::db::Database;
    use crate::db::builds::next_backoff_end;
    use crate::logs::Logs;
    use crate::repos::Repos;
    use crate::state::announcer::Announcer;
    use crate::state::report_limit::ReportLimit;
    use crate::state::shares::Shares;
    use crate::testing::{config, disk, open_database, settable};

    const ATTEMPTS: [&str; 2] = [
        "01990000-0000-7000-8000-000000000001",
        "01990000-0000-7000-8000-000000000002",
    ];

    /// Stores a build with an attempt that runs until a time, in milliseconds.
    async fn store_attempt(database: &Database, number: usize, lease: i64) -> AttemptId {
        let attempt = ATTEMPTS[number - 1];
        let digest = "0".repeat(64);
        let commit = "0".repeat(40);
        let rows = format!(
            "insert or ignore into srcinfo (id, sha256, parser, parsed, text)
                 values (1, '{digest}', 1, '{{}}', '');
             insert or ignore into token values (1, 't', 'worker', x'00', 1, null, null);
             insert or ignore into namespace (id, name, scope, max_builds, bump, created_at)
                 values (1, 'n', 'transitive', 10, 1, 1);
             insert or ignore into iteration (id, namespace_id, number, status, reason, created_at)
                 values (1, 1, 1, 'running', 'r', 1);
             insert or ignore into build (id, iteration_id, architecture, pkgbase, stage, level, position,
                 commit_hash, commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s,
                 priority_s, status, missing_dependencies)
                 values (1, 1, 'x86_64', 'a', 1, 0, 0, '{commit}', 1, 'u', '{digest}', '1-1', 'a', 1, 1,
                     'building', 0);
             update build set status = 'building', not_before = null;
             insert into attempt (id, build_id, number, claim, worker, token_id, status,
                 lease_expires_at, created_at)
                 values ('{attempt}', 1, {number}, '{attempt}', 'w', 1, 'running', {lease}, 1);"
        );
        let mut tx = database.write().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
            .execute(tx.connection())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        attempt.parse().unwrap()
    }

    #[tokio::test]
    async fn requeues_build_by_the_clock_of_the_database() {
        let (now, clock) = settable();
        let folder = tempfile::tempdir().unwrap();
        let database = open_database(folder.path(), clock.clone()).await;
        let parts = AttemptParts {
            config: &config(folder.path()),
            database: &database,
            repos: &Repos::new(folder.path()).unwrap(),
            disk: &disk(folder.path()),
            logs: &Logs::new(folder.path()).unwrap(),
            reports: &ReportLimit::default(),
            shares: &Shares::default(),
            announcer: &Announcer::default(),
            pipelines: None,
        };
        let build = async || {
            let row = builds::by_id(database.read(), BuildId(1)).await;
            row.unwrap().unwrap().status
        };
        let attempt = store_attempt(&database, 1, 2_000).await;
        expire_leases(parts, clock.now()).await.unwrap();
        assert_eq!(build().await, BuildStatus::Building);

        now.store(2_000, Ordering::Relaxed);
        expire_leases(parts, clock.now()).await.unwrap();
        assert_eq!(build().await, BuildStatus::Ready);
        let lost = attempts::by_id(database.read(), attempt).await;
        assert_eq!(lost.unwrap().unwrap().status, AttemptStatus::Lost);

        // After a second loss the build backs off.
        store_attempt(&database, 2, 2_500).await;
        now.store(3_000, Ordering::Relaxed);
        expire_leases(parts, clock.now()).await.unwrap();
        assert_eq!(build().await, BuildStatus::Ready);
        let again_at = next_backoff_end(database.read(), clock.now()).await;
        assert_eq!(
            again_at.unwrap(),
            Some(clock.now() + Duration::from_secs(2))
        );
    }
}
