//! Decides what the end of a job means for its build: by GitLab's reason first, then by the job's report. The table
//! of reasons is in `notes/gitlab.md`.

use buildbtw_gitlab::{FailureReason, Job, JobFailureReason, PipelineStatus};
use buildbtw_model::{Explanation, FailureKind};

use crate::db::pipelines::PipelineRow;
use crate::time::Seconds;

use super::log::{cannot_run, last_error};
use super::reason::{Reason, SEE_LOG, hint, may_be_explained_by_log};

/// How an attempt ends.
pub(super) enum End {
    /// It was cancelled in GitLab, or would end the same way again: it is not retried automatically.
    Permanent(FailureKind, Explanation),
    /// It is retried.
    Transient(FailureKind, Explanation),
}

impl End {
    /// Returns why it ended.
    pub(super) fn explanation(&self) -> &Explanation {
        match self {
            Self::Permanent(_, explanation) | Self::Transient(_, explanation) => explanation,
        }
    }
}

/// The known facts about the end of a pipeline.
pub(super) struct Facts<'a> {
    /// Its status; `None` when it no longer exists.
    pub(super) status: Option<PipelineStatus>,
    /// Its jobs.
    pub(super) jobs: &'a [Job],
    /// The errors of its configuration.
    pub(super) errors: Option<&'a str>,
    /// The end of the log of the [`unexplained_job`].
    pub(super) log: Option<&'a str>,
    /// Whether this server requested the cancellation.
    pub(super) is_our_cancel: bool,
}

/// Returns the job that exchanged its ID token for the attempt.
pub fn own_job<'a>(row: &PipelineRow, jobs: &'a [Job]) -> Option<&'a Job> {
    let id = row.job_id?;
    jobs.iter().find(|job| job.id == id)
}

/// Returns the job whose end decides that of the pipeline.
fn deciding_job<'a>(row: &PipelineRow, jobs: &'a [Job]) -> Option<&'a Job> {
    let failed = |job: &&Job| job.status == PipelineStatus::Failed;
    own_job(row, jobs).or_else(|| jobs.iter().find(failed).or(jobs.first()))
}

/// Returns the failed job of a pipeline if only its log can explain the failure, because it has not requested its
/// build.
pub fn unexplained_job<'a>(row: &PipelineRow, jobs: &'a [Job]) -> Option<&'a Job> {
    let job = deciding_job(row, jobs).filter(|job| job.status == PipelineStatus::Failed);
    job.filter(|job| is_silent(row) && may_be_explained_by_log(job.failure()))
}

/// Returns whether the attempt's job never sent a request.
fn is_silent(row: &PipelineRow) -> bool {
    row.job_id.is_none() && row.reported_message.is_none()
}

/// Returns the name of a job in messages.
pub(super) fn name(job: &Job) -> String {
    format!("job {} ({})", job.id, job.name)
}

/// Decides how the attempt of an ended pipeline ends.
pub(super) fn verdict(row: &PipelineRow, facts: &Facts<'_>) -> End {
    if facts.is_our_cancel {
        return End::Transient(FailureKind::Cancelled, "cancelled".into());
    }
    let own = own_job(row, facts.jobs);
    let by_hand = |what: String| {
        let why = Explanation::with_hint(
            format!("{what} in GitLab"),
            "retry it there, or with `buildbtw retry`",
        );
        End::Permanent(FailureKind::Cancelled, why)
    };
    let is_cancelled =
        |status| matches!(status, PipelineStatus::Canceled | PipelineStatus::Canceling);
    match facts.status {
        None => by_hand("the pipeline was deleted".to_owned()),
        Some(status) if is_cancelled(status) => by_hand(match own {
            Some(job) => format!("{} was cancelled", name(job)),
            None => "the pipeline was cancelled".to_owned(),
        }),
        Some(PipelineStatus::Success) if row.reported_message.is_none() => End::Permanent(
            FailureKind::Infrastructure,
            Explanation::with_hint(
                "the pipeline succeeded without building anything",
                "check that the project uses buildbtw's CI template, and that its job runs on a runner with \
                 buildbtw-executor",
            ),
        ),
        Some(PipelineStatus::Skipped) => End::Permanent(
            FailureKind::Infrastructure,
            Explanation::with_hint(
                "GitLab skipped the pipeline",
                "check that the project uses buildbtw's CI template",
            ),
        ),
        Some(_) => match deciding_job(row, facts.jobs) {
            Some(job) if is_cancelled(job.status) => {
                by_hand(format!("{} was cancelled", name(job)))
            }
            Some(job) => of_job(row, job, facts.log),
            None => without_job(row, facts.errors),
        },
    }
}

fn without_job(row: &PipelineRow, errors: Option<&str>) -> End {
    if let Some(reported) = row.reported() {
        return End::Transient(FailureKind::Infrastructure, reported);
    }
    let message = "the pipeline failed without a job";
    match errors {
        Some(errors) => End::Permanent(
            FailureKind::Infrastructure,
            format!("{message}: {errors}").into(),
        ),
        None => End::Transient(
            FailureKind::Infrastructure,
            Explanation::with_hint(
                message,
                "see its page in GitLab, which names the limit that may have been reached",
            ),
        ),
    }
}

fn of_job(row: &PipelineRow, job: &Job, log: Option<&str>) -> End {
    let about = name(job);
    let failure = job.failure();
    let reason = Reason::of(failure);
    let infrastructure = FailureKind::Infrastructure;
    let explain = |what: &str| Explanation {
        message: format!("{about}: {what}"),
        hint: hint(failure).map(str::to_owned),
    };
    let log = log.filter(|_| is_silent(row) && may_be_explained_by_log(failure));
    if let Some(said) = log.and_then(cannot_run) {
        return End::Permanent(infrastructure, format!("{about}: {said}").into());
    }
    match (reason, row.reported()) {
        (Reason::Timeout, _) => End::Permanent(FailureKind::Timeout, timeout(row, job).into()),
        // The job's report is more precise than GitLab's reason.
        (_, Some(reported)) if row.reported_kind == Some(infrastructure) => {
            End::Transient(infrastructure, reported)
        }
        (Reason::Configuration(what), _) => End::Permanent(infrastructure, explain(what)),
        (Reason::Transient(what), _) if !what.is_empty() => {
            End::Transient(infrastructure, explain(what))
        }
        (_, Some(_)) => End::Transient(
            infrastructure,
            format!(
                "{about} was stopped before its build had ended; GitLab's reason is `{failure}`"
            )
            .into(),
        ),
        (Reason::Unspecific, None) if row.job_id.is_some() => End::Transient(
            infrastructure,
            Explanation::with_hint(
                format!("{about}: it ended without reporting its build"),
                SEE_LOG,
            ),
        ),
        // The job was refused, or differs from the template: failures of hosts have other reasons.
        (Reason::Unspecific, None)
            if *failure == FailureReason::Known(JobFailureReason::ScriptFailure) =>
        {
            let said = log.and_then(last_error).unwrap_or_else(|| {
                Explanation::with_hint("it failed before it requested its build", SEE_LOG)
            });
            End::Permanent(infrastructure, said.map(|said| format!("{about}: {said}")))
        }
        (Reason::Unspecific, None) => End::Transient(
            infrastructure,
            format!("{about}: GitLab gives no reason").into(),
        ),
        (Reason::Transient(_), None) => End::Transient(
            infrastructure,
            format!("{about}: GitLab's reason is `{failure}`").into(),
        ),
    }
}

/// Returns which time limit a job reached. The ID token contains GitLab's job timeout, the smallest of template,
/// project and runner; it does not contain a limit for the script alone.
pub(super) fn timeout(row: &PipelineRow, job: &Job) -> String {
    let about = name(job);
    let limit = row.job_timeout.map(|Seconds(limit)| u64::from(limit));
    let ran = job.elapsed().map(|ran| ran.as_secs());
    match (limit, ran) {
        (Some(limit), Some(ran)) if ran + rounding_tolerance(limit) < limit => format!(
            "{about} was stopped by its runner after {}, before GitLab's job timeout of {}: \
             RUNNER_SCRIPT_TIMEOUT is shorter",
            span(ran),
            span(limit)
        ),
        (Some(limit), _) => format!(
            "{about} reached GitLab's job timeout of {}, the smallest of `timeout` in the CI template, \
             the project's and the runner's (`maximum_timeout`)",
            span(limit)
        ),
        (None, Some(ran)) => format!(
            "{about} took longer than GitLab or its runner allow: it was stopped after {}",
            span(ran)
        ),
        (None, None) => format!("{about} took longer than GitLab or its runner allow"),
    }
}

/// Returns how much earlier than its limit a job that reached it may seem to end: times are in whole seconds, and
/// the runner starts to count before GitLab.
fn rounding_tolerance(limit: u64) -> u64 {
    (limit / 50).clamp(1, 30)
}

/// Formats a time span in human-readable form, and in seconds as in settings.
fn span(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) if rest == 0 => format!("{minutes} min ({seconds} s)"),
        (0, _) => format!("{minutes} min {rest} s ({seconds} s)"),
        _ if minutes == 0 => format!("{hours} h ({seconds} s)"),
        _ => format!("{hours} h {minutes} min ({seconds} s)"),
    }
}

#[cfg(test)]
mod tests;
