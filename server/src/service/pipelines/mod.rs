//! Builds as pipelines of a GitLab: what is asked for, what came of it, and what that means for
//! attempts and builds. When GitLab is asked is decided in [`crate::dispatch::pipelines`].

mod ended;
mod hand_over;
mod made;
pub(in crate::service) mod show;

pub use ended::{ended, withdrawn};
pub use hand_over::hand_over;
pub(super) use hand_over::{dead_token, no_worker_yet};
pub use made::{Made, made, refused};

use buildbtw_model::AttemptId;

use crate::app_state::AppState;
use crate::error::Error;
use crate::gitlab::{Job, PipelineStatus, ProjectId};

/// By this name a pipeline is found again when its creation was not answered. The template gives it
/// (`workflow: name`).
#[must_use]
pub fn pipeline_name(attempt: AttemptId) -> String {
    format!("buildbtw {attempt}")
}

/// Whether the pipeline of an attempt was cancelled in GitLab, as far as it can be asked: its job only
/// knows that it is to stop, which a runner that shuts down wants, too.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn is_cancelled_there(
    state: &AppState,
    attempt: AttemptId,
) -> Result<bool, Error> {
    let Some(desk) = &state.pipelines else {
        return Ok(false);
    };
    let row = crate::db::pipelines::of_attempt(state.database.read(), attempt).await?;
    // What we have asked for is no wish of somebody in GitLab.
    let Some(row) = row.filter(|row| row.cancel_sent_at.is_none()) else {
        return Ok(false);
    };
    let Some(id) = row.pipeline_id else {
        return Ok(false);
    };
    let project = ProjectId(u64::try_from(row.project_id).unwrap_or_default());
    let about = format!("project {project}");
    let id = u64::try_from(id).unwrap_or_default();
    let is_cancelled =
        |status| matches!(status, PipelineStatus::Canceling | PipelineStatus::Canceled);
    match desk.gitlab.pipeline(project, &about, id).await {
        Ok(Some(found)) if is_cancelled(found.status) => return Ok(true),
        Ok(Some(_)) => {}
        Ok(None) => return Ok(true),
        Err(_) => return Ok(false),
    }
    // A pipeline goes on while statuses of other programs in it do.
    let jobs = desk
        .gitlab
        .jobs(project, &about, id)
        .await
        .unwrap_or_default();
    let is_ours = |job: &&Job| i64::try_from(job.id).ok() == row.job_id;
    Ok(jobs
        .iter()
        .find(is_ours)
        .is_some_and(|job| is_cancelled(job.status)))
}
