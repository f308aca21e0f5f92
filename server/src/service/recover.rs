//! Recovery at the start of the server, after a shutdown or a crash.

use buildbtw_model::{AttemptId, AttemptStatus};
use sqlx::SqlitePool;

use crate::db::{attempts, builds, pipelines, worker_drains};
use crate::error::Error;
use crate::state::parts::AttemptParts;

use super::delete::remove_orphans;
use super::expire_leases::renew_leases;

/// Resumes the work of the last run: workers get a full lease to reconnect. The actors find the rest when they start.
///
/// # Errors
/// When the database cannot be used.
pub async fn recover(parts: AttemptParts<'_>) -> Result<(), Error> {
    let drained = worker_drains::all(parts.database.read()).await?;
    parts.announcer.claims.set_drained(drained);
    apply_build_tags(parts).await?;
    requeue_unfollowed(parts).await?;
    let running = renew_leases(parts).await?;
    let unpublished = builds::unpublished(parts.database.read()).await?;
    if running > 0 || !unpublished.is_empty() {
        tracing::info!(
            attempts.running = running,
            builds.unpublished = unpublished.len(),
            "resuming after a restart"
        );
    }
    parts.repos.empty_staging()?;
    remove_stale_uploads(parts).await?;
    remove_orphans(parts.database, parts.repos, parts.logs).await?;
    Ok(())
}

/// Requeues builds whose pipelines are no longer followed, because builds on GitLab were disabled, or because it is
/// another GitLab instance with other ids.
async fn requeue_unfollowed(parts: AttemptParts<'_>) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    if let Some(on_gitlab) = parts.pipelines {
        pipelines::stop_following_other_gitlabs(&mut tx, on_gitlab.gitlab.settings().url.as_str())
            .await?;
    }
    let lease = parts.database.clock().now() + parts.config.lease;
    let all = parts.pipelines.is_none();
    let released = attempts::end_unlimited_leases(&mut tx, lease, all).await?;
    tx.commit().await?;
    if released > 0 {
        tracing::warn!(
            attempts.released = released,
            "some pipelines are no longer followed; their builds are requeued"
        );
    }
    Ok(())
}

/// Gives builds that were planned with other settings the tags of the current ones.
async fn apply_build_tags(parts: AttemptParts<'_>) -> Result<(), Error> {
    let tags = &parts.config.build_tags;
    let open = builds::open_pkgbases(parts.database.read()).await?;
    let changed: Vec<_> = open
        .into_iter()
        .filter(|(pkgbase, tag)| tags.of(pkgbase) != tag.as_ref())
        .map(|(pkgbase, _)| {
            let tag = tags.of(&pkgbase).cloned();
            (pkgbase, tag)
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let mut tx = parts.database.write().await?;
    builds::set_tags(&mut tx, &changed).await?;
    tx.commit().await?;
    tracing::info!(
        packages = changed.len(),
        "changed the tags that builds need"
    );
    Ok(())
}

/// Removes uploads that are no longer needed.
async fn remove_stale_uploads(parts: AttemptParts<'_>) -> Result<(), Error> {
    for attempt in parts.repos.uploading()? {
        if !may_upload(parts.database.read(), attempt).await? {
            fs_err::tokio::remove_dir_all(parts.repos.uploads(attempt)).await?;
        }
    }
    Ok(())
}

/// Returns whether an attempt may still have uploads: it has not ended, or its packages were accepted and are not in
/// their repository yet.
///
/// # Errors
/// When the database cannot be read.
pub async fn may_upload(reader: &SqlitePool, attempt: AttemptId) -> sqlx::Result<bool> {
    let Some(row) = attempts::by_id(reader, attempt).await? else {
        return Ok(false);
    };
    Ok(match row.status {
        AttemptStatus::Queued | AttemptStatus::Running => true,
        AttemptStatus::Succeeded => builds::by_id(reader, row.build)
            .await?
            .is_some_and(|build| !build.status.has_packages()),
        AttemptStatus::Failed | AttemptStatus::Lost => false,
    })
}
