//! A pipeline ended: what that means for the attempt whose job said nothing, or not enough.

use buildbtw_gitlab::{Job, PipelineStatus};
use buildbtw_model::FailureKind;

use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::pipelines::PipelineRow;
use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::service::report_outcome::remove_uploads;
use crate::service::transitions::Transition;
use crate::state::AppState;

use super::verdict::{End, Facts, verdict};

/// GitLab says that a pipeline is completed, or (`None`) that there is none any more. `jobs` are the
/// jobs it had, `errors` what is wrong with its configuration, `log` the end of the log of its job that
/// [`unexplained`](super::unexplained) names.
///
/// # Errors
/// When the database cannot be written: then it is looked at again.
pub async fn ended(
    state: &AppState,
    row: &PipelineRow,
    status: Option<PipelineStatus>,
    jobs: &[Job],
    errors: Option<&str>,
    log: Option<&str>,
) -> Result<(), Error> {
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    let connection = transition.connection();
    let attempt = attempts::by_id(connection, row.attempt).await?;
    let build = builds::by_id(transition.connection(), row.build).await?;
    // While GitLab was asked its job may have reported.
    let row = pipelines::of_attempt(transition.connection(), row.attempt).await?;
    let (Some(attempt), Some(build), Some(row)) = (attempt, build, row) else {
        return Ok(());
    };
    // A success, or a failure that is the package's, counts more than what GitLab makes of it.
    let mut why = None;
    if !attempt.status.is_final() {
        let facts = Facts {
            status,
            jobs,
            errors,
            log,
            is_our_cancel: attempt.cancel_requested || row.cancel_sent_at.is_some(),
        };
        let end = verdict(&row, &facts);
        why = Some(end.message().to_owned());
        conclude(&mut transition, &build, &attempt, end).await?;
    }
    let status = status.unwrap_or(PipelineStatus::Deleted);
    pipelines::set_status(transition.tx(), row.attempt, status).await?;
    pipelines::set_over(transition.tx(), row.attempt).await?;
    let Some(why) = why else {
        let effects = transition.commit().await?;
        state.announce(effects);
        return Ok(());
    };
    let conclusion = state.logs.conclude(row.attempt).await;
    let effects = transition.commit().await?;
    state.announce(effects);
    conclusion.write(&why).await?;
    remove_uploads(&state.repos, row.attempt).await;
    Ok(())
}

/// Ends an attempt as it was decided.
pub(super) async fn conclude(
    transition: &mut Transition,
    build: &BuildRow,
    attempt: &AttemptRow,
    end: End,
) -> sqlx::Result<bool> {
    match end {
        End::Permanent(kind, message) => {
            transition
                .failed_permanently(build, attempt.id, kind, &message)
                .await
        }
        End::Transient(kind, message) => transition.failed(build, attempt, kind, &message).await,
    }
}

/// An attempt was cancelled before GitLab heard of it.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdrawn(state: &AppState, row: &PipelineRow) -> Result<(), Error> {
    let mut transition = Transition::begin(&state.database, &state.clock).await?;
    let connection = transition.connection();
    let attempt = attempts::by_id(connection, row.attempt).await?;
    let build = builds::by_id(transition.connection(), row.build).await?;
    if let (Some(attempt), Some(build)) = (attempt, build) {
        let message = "cancelled before GitLab created its pipeline";
        let kind = FailureKind::Cancelled;
        transition.failed(&build, &attempt, kind, message).await?;
    }
    pipelines::set_over(transition.tx(), row.attempt).await?;
    let effects = transition.commit().await?;
    state.announce(effects);
    state.logs.close(row.attempt).await?;
    Ok(())
}
