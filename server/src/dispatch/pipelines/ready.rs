//! Dispatch to GitLab: turns the most urgent ready builds into attempts that want a pipeline.

use std::time::Duration;

use buildbtw_model::{Priority, saturating};

use crate::db::builds::{self, Eligible};
use crate::db::pipelines::{self, PipelineRow};
use crate::disk::PAUSE_DURING_SHORTAGE;
use crate::dispatch::choose::choose;
use crate::dispatch::shares::refresh;
use crate::error::Error;
use crate::service::pipelines::dispatch;
use crate::state::parts::AttemptParts;
use crate::state::pipelines::Pipelines;

/// The pause before more builds are read after some were dispatched.
const REDISPATCH_AFTER: Duration = Duration::from_millis(50);

/// Returns the attempts that want a pipeline, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn wanted(parts: AttemptParts<'_>) -> sqlx::Result<Vec<PipelineRow>> {
    pipelines::pending_creation(parts.database.read()).await
}

/// Creates attempts for up to `count` ready builds, and returns how many it created. Also returns the time until more
/// may be ready.
///
/// # Errors
/// When the database cannot be used; nothing was dispatched then.
pub(crate) async fn dispatch_ready(
    parts: AttemptParts<'_>,
    on_gitlab: &Pipelines,
    count: usize,
) -> Result<(usize, Option<Duration>), Error> {
    if count == 0 {
        return Ok((0, None));
    }
    if parts.disk.shortage()?.is_some() {
        return Ok((0, Some(PAUSE_DURING_SHORTAGE)));
    }
    let clock = parts.database.clock();
    let (reader, at) = (parts.database.read(), clock.now());
    let architectures = on_gitlab.settings.architectures.as_slice();
    refresh(parts.database, parts.shares, at).await?;
    let mut ready = Vec::new();
    // GitLab chooses runners by the tags of the jobs.
    let tags: Vec<_> = parts.config.build_tags.all().into_iter().collect();
    let eligible = Eligible {
        tags: &tags,
        memory_mib: i64::MAX,
    };
    // Each architecture has its own share, so that one without runners does not take all slots.
    let share = on_gitlab.settings.max_pipelines / architectures.len().max(1);
    for architecture in architectures {
        let active = pipelines::count_active(reader, architecture).await?;
        let free = share.max(1).saturating_sub(saturating(active));
        let limit = saturating(free.min(count));
        let found = builds::candidates(reader, architecture, &eligible, limit, at).await?;
        // The query's limit applies to each iteration.
        let found = parts
            .shares
            .with(architecture, |usage| choose(found, free, usage, at));
        ready.extend(found.into_iter().enumerate());
    }
    // The architectures take turns, except for urgent builds.
    ready.sort_by_key(|(place, build)| (build.priority != Priority::Urgent, *place));
    ready.truncate(count);
    let chosen: Vec<_> = ready.iter().map(|(_, build)| build.id).collect();
    if !chosen.is_empty() {
        let dispatched = dispatch(parts.database, parts.announcer, on_gitlab, &chosen).await?;
        // What has run since then is read soon.
        parts.shares.expire();
        // Some may have ended immediately, which frees slots.
        return Ok((dispatched, Some(REDISPATCH_AFTER)));
    }
    let next = builds::next_backoff_end(reader, at).await?;
    Ok((
        0,
        next.map(|next| next.since(clock.now()) + Duration::from_millis(1)),
    ))
}
