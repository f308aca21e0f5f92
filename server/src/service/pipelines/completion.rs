//! The end of a pipeline: what it means for an attempt whose job reported nothing, or not enough.

use buildbtw_gitlab::{Job, PipelineStatus};
use buildbtw_model::{Explanation, FailureKind};

use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::pipelines::PipelineRow;
use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::service::failed_attempt::remove_uploads;
use crate::service::transitions::Transition;
use crate::state::parts::AttemptParts;

use super::verdict::{End, Facts, verdict};

/// Ends the attempt of a pipeline that GitLab reports as completed, or (`None`) as deleted. `jobs` are its jobs,
/// `errors` the errors of its configuration, `log` is the end of the log of the job that
/// [`unexplained_job`](super::unexplained_job) returns.
///
/// # Errors
/// When the database cannot be written: the pipeline is then queried again.
pub async fn end_completed(
    parts: AttemptParts<'_>,
    row: &PipelineRow,
    status: Option<PipelineStatus>,
    jobs: &[Job],
    errors: Option<&str>,
    log: Option<&str>,
) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    let attempt = attempts::by_id(tx.connection(), row.attempt).await?;
    let build = builds::by_id(tx.connection(), row.build).await?;
    // The job may have reported while GitLab was queried.
    let row = pipelines::of_attempt(tx.connection(), row.attempt).await?;
    let (Some(attempt), Some(build), Some(row)) = (attempt, build, row) else {
        return Ok(());
    };
    // A success, or a failure of the package, outweighs GitLab's view.
    let mut why = None;
    pipelines::set_status(
        &mut tx,
        row.attempt,
        status.unwrap_or(PipelineStatus::Deleted),
    )
    .await?;
    pipelines::set_ended(&mut tx, row.attempt).await?;
    let mut transition = Transition::of(tx);
    if !attempt.status.is_final() {
        let facts = Facts {
            status,
            jobs,
            errors,
            log,
            is_our_cancel: attempt.cancel_requested || row.cancel_sent_at.is_some(),
        };
        let end = verdict(&row, &facts);
        why = Some(end.explanation().to_string());
        conclude(&mut transition, &build, &attempt, end).await?;
    }
    let Some(why) = why else {
        let effects = transition.commit().await?;
        parts.announcer.announce(effects);
        return Ok(());
    };
    let conclusion = parts.logs.conclude(row.attempt).await;
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    conclusion.write(&why).await?;
    remove_uploads(parts.repos, row.attempt).await;
    Ok(())
}

/// Ends an attempt according to the verdict.
pub(super) async fn conclude(
    transition: &mut Transition,
    build: &BuildRow,
    attempt: &AttemptRow,
    end: End,
) -> sqlx::Result<bool> {
    match end {
        End::Permanent(kind, explanation) => {
            transition
                .fail_permanently(build, attempt.id, kind, &explanation)
                .await
        }
        End::Transient(kind, explanation) => {
            transition.fail(build, attempt, kind, &explanation).await
        }
    }
}

/// Ends an attempt that was cancelled before its pipeline was requested.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_withdrawn(parts: AttemptParts<'_>, row: &PipelineRow) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    let attempt = attempts::by_id(tx.connection(), row.attempt).await?;
    let build = builds::by_id(tx.connection(), row.build).await?;
    pipelines::set_ended(&mut tx, row.attempt).await?;
    let mut transition = Transition::of(tx);
    if let (Some(attempt), Some(build)) = (attempt, build) {
        let why = withdrawn();
        let kind = FailureKind::Cancelled;
        transition.fail(&build, &attempt, kind, &why).await?;
    }
    let effects = transition.commit().await?;
    parts.announcer.announce(effects);
    parts.logs.close(row.attempt).await?;
    Ok(())
}

/// Explains the end of an attempt that was cancelled before its pipeline was requested.
pub(super) fn withdrawn() -> Explanation {
    Explanation::from("cancelled before GitLab created its pipeline")
}
