//! The result of requesting a pipeline.

use buildbtw_gitlab::Pipeline;
use buildbtw_model::{AttemptId, Explanation, FailureKind};

use crate::db::pipelines::{CreatedPipeline, PipelineRow};
use crate::db::{builds, pipelines};
use crate::error::Error;
use crate::service::transitions::Transition;
use crate::state::parts::AttemptParts;

use super::dispatch::moved;

/// Whether a new pipeline is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It runs the attempt.
    Wanted,
    /// It runs on another commit than planned, or is no longer needed: it is to be cancelled.
    Unwanted,
}

/// Records that GitLab has a pipeline for an attempt.
///
/// # Errors
/// When the database cannot be written: the pipeline is then searched for again.
pub async fn record_created(
    parts: AttemptParts<'_>,
    row: &PipelineRow,
    found: &Pipeline,
) -> Result<Created, Error> {
    let mut tx = parts.database.write().await?;
    let known = CreatedPipeline {
        pipeline_id: found.id,
        url: found.web_url.clone(),
        status: found.status,
    };
    pipelines::set_created(&mut tx, row.attempt, &known).await?;
    // The attempt may have ended while GitLab created the pipeline.
    let now = pipelines::of_attempt(tx.connection(), row.attempt).await?;
    let mut created = match now {
        Some(now) if !now.is_unwanted() && !now.attempt_status.is_final() => Created::Wanted,
        _ => Created::Unwanted,
    };
    let build = builds::by_id(tx.connection(), row.build).await?;
    let mut transition = Transition::of(tx);
    if created == Created::Wanted && found.sha != row.commit {
        created = Created::Unwanted;
        if let Some(build) = build {
            // A green pipeline on a commit that was not built would mislead people.
            let message = moved(&row.git_ref, &row.commit, &found.sha);
            let kind = FailureKind::Infrastructure;
            transition
                .fail_permanently(&build, row.attempt, kind, &message)
                .await?;
        }
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    tracing::info!(
        attempt.id = %row.attempt,
        gitlab.project = row.project_id.0,
        gitlab.pipeline = found.id.0,
        "pipeline created"
    );
    Ok(created)
}

/// Ends an attempt for which GitLab permanently refuses to create a pipeline.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_refused(
    parts: AttemptParts<'_>,
    row: &PipelineRow,
    explanation: &Explanation,
) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    let build = builds::by_id(tx.connection(), row.build).await?;
    pipelines::set_ended(&mut tx, row.attempt).await?;
    let mut transition = Transition::of(tx);
    if let Some(build) = build {
        let kind = FailureKind::Infrastructure;
        transition
            .fail_permanently(&build, row.attempt, kind, explanation)
            .await?;
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    parts.logs.close(row.attempt).await?;
    Ok(())
}

/// Ends an attempt for which requests failed too often, unless GitLab has a pipeline for it.
///
/// # Errors
/// When the database cannot be used.
pub async fn give_up(
    parts: AttemptParts<'_>,
    attempt: AttemptId,
    explanation: &Explanation,
) -> Result<(), Error> {
    let row = pipelines::of_attempt(parts.database.read(), attempt).await?;
    match row.filter(|row| row.pipeline_id.is_none()) {
        Some(row) => end_refused(parts, &row, explanation).await,
        None => Ok(()),
    }
}
