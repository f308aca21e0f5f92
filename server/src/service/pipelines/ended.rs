//! A pipeline ended without a word of its job: what that means for the attempt.

use buildbtw_model::FailureKind;

use crate::app_state::AppState;
use crate::db::pipelines::PipelineRow;
use crate::db::{attempts, builds, pipelines};
use crate::error::Error;
use crate::gitlab::{Job, PipelineStatus};
use crate::service::report_outcome::remove_uploads;
use crate::service::transitions::Transition;

/// How an attempt ends whose job said nothing.
enum End {
    /// Somebody wanted it so: it is not tried again by itself.
    ForGood(FailureKind, String),
    /// Tried again.
    Fault(FailureKind, String),
}

/// GitLab says that a pipeline is completed, or (`None`) that there is none any more. `jobs` are the
/// jobs it had, `errors` what is wrong with its configuration.
///
/// # Errors
/// When the database cannot be written: then it is looked at again.
pub async fn ended(
    state: &AppState,
    row: &PipelineRow,
    status: Option<PipelineStatus>,
    jobs: &[Job],
    errors: Option<&str>,
) -> Result<(), Error> {
    let mut transition = Transition::begin(&state.database).await?;
    let connection = &mut *transition.tx.connection();
    let attempt = attempts::by_id(connection, row.attempt).await?;
    let build = builds::by_id(&mut *transition.tx.connection(), row.build).await?;
    let mut closes = false;
    // Whatever its job reported counts more than what GitLab makes of it.
    if let (Some(attempt), Some(build)) = (attempt, build)
        && !attempt.status.is_final()
    {
        closes = true;
        match verdict(
            status,
            jobs,
            errors,
            attempt.cancel_requested || row.cancel_sent_at.is_some(),
        ) {
            End::ForGood(kind, message) => {
                transition
                    .failed_for_good(&build, attempt.id, kind, &message)
                    .await?;
            }
            End::Fault(kind, message) => {
                transition.failed(&build, &attempt, kind, &message).await?;
            }
        }
    }
    let word = status.map_or("deleted", PipelineStatus::as_str);
    pipelines::set_status(&mut transition.tx, row.attempt, word).await?;
    pipelines::set_over(&mut transition.tx, row.attempt).await?;
    let effects = transition.commit().await?;
    state.announce(effects);
    if closes {
        state.logs.close(row.attempt).await?;
        remove_uploads(state, row.attempt).await;
    }
    Ok(())
}

/// An attempt was cancelled before GitLab heard of it.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdrawn(state: &AppState, row: &PipelineRow) -> Result<(), Error> {
    let mut transition = Transition::begin(&state.database).await?;
    let connection = &mut *transition.tx.connection();
    let attempt = attempts::by_id(connection, row.attempt).await?;
    let build = builds::by_id(&mut *transition.tx.connection(), row.build).await?;
    if let (Some(attempt), Some(build)) = (attempt, build) {
        let message = "cancelled before GitLab had a pipeline for it";
        let kind = FailureKind::Cancelled;
        transition.failed(&build, &attempt, kind, message).await?;
    }
    pipelines::set_over(&mut transition.tx, row.attempt).await?;
    let effects = transition.commit().await?;
    state.announce(effects);
    state.logs.close(row.attempt).await?;
    Ok(())
}

fn verdict(
    status: Option<PipelineStatus>,
    jobs: &[Job],
    errors: Option<&str>,
    is_our_cancel: bool,
) -> End {
    if is_our_cancel {
        return End::Fault(FailureKind::Cancelled, "cancelled".to_owned());
    }
    let by_hand = |what: &str| {
        let message = format!(
            "the pipeline was {what} in GitLab; `buildbtw retry`, or a retry there, builds it again"
        );
        End::ForGood(FailureKind::Cancelled, message)
    };
    match status {
        None => by_hand("deleted"),
        Some(PipelineStatus::Canceled) => by_hand("cancelled"),
        Some(PipelineStatus::Success) => End::ForGood(
            FailureKind::Infrastructure,
            "the pipeline succeeded without building anything: does the project use buildbtw's CI \
             template, and does its job run on a runner with buildbtw-executor?"
                .to_owned(),
        ),
        Some(PipelineStatus::Skipped) => End::ForGood(
            FailureKind::Infrastructure,
            "GitLab skipped the pipeline: does the project use buildbtw's CI template?".to_owned(),
        ),
        Some(_) => failed(jobs, errors),
    }
}

/// Reads GitLab's word for why a job failed.
fn failed(jobs: &[Job], errors: Option<&str>) -> End {
    let job = jobs
        .iter()
        .find(|job| job.status == PipelineStatus::Failed)
        .or(jobs.first());
    let Some(job) = job else {
        let message = "the pipeline failed without having had a job";
        return match errors {
            Some(errors) => {
                End::ForGood(FailureKind::Infrastructure, format!("{message}: {errors}"))
            }
            None => End::Fault(
                FailureKind::Infrastructure,
                format!("{message}; a limit of GitLab may have been reached, its page says which"),
            ),
        };
    };
    let about = format!("job {} ({})", job.id, job.name);
    let fault = |what: &str| End::Fault(FailureKind::Infrastructure, format!("{about}: {what}"));
    match job.failure_reason.as_deref() {
        Some("job_execution_timeout") => End::ForGood(
            FailureKind::Timeout,
            format!("{about} took longer than GitLab or its runner allow"),
        ),
        Some("stuck_or_timeout_failure") => {
            fault("no runner took it, or its runner was not heard of again")
        }
        Some("runner_system_failure") => {
            fault("the runner could not run it; its log in GitLab says more")
        }
        Some("runner_interrupted") => fault("its runner was stopped"),
        Some("script_failure") => {
            fault("it failed without having asked for its build; its log in GitLab says why")
        }
        Some("runner_unsupported") => fault("no runner can run it"),
        Some(other) => fault(&format!("GitLab says '{other}'")),
        None => fault("GitLab does not say why"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(reason: &str) -> Job {
        Job {
            id: 7,
            name: "build".into(),
            status: PipelineStatus::Failed,
            failure_reason: Some(reason.into()),
        }
    }

    fn is_for_good(end: &End) -> bool {
        matches!(end, End::ForGood(..))
    }

    #[test]
    fn what_people_did_in_gitlab_is_not_undone() {
        assert!(is_for_good(&verdict(None, &[], None, false)));
        let cancelled = Some(PipelineStatus::Canceled);
        assert!(is_for_good(&verdict(cancelled, &[], None, false)));
        assert!(!is_for_good(&verdict(cancelled, &[], None, true)));
    }

    #[test]
    fn faults_of_runners_are_tried_again_and_timeouts_are_not() {
        let failed = Some(PipelineStatus::Failed);
        assert!(!is_for_good(&verdict(
            failed,
            &[job("runner_system_failure")],
            None,
            false
        )));
        assert!(!is_for_good(&verdict(
            failed,
            &[job("something new")],
            None,
            false
        )));
        assert!(!is_for_good(&verdict(failed, &[], None, false)));
        let timeout = verdict(failed, &[job("job_execution_timeout")], None, false);
        assert!(matches!(timeout, End::ForGood(FailureKind::Timeout, _)));
    }
}
