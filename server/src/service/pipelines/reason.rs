//! What GitLab's reasons for the failure of a job mean for its attempt.

use buildbtw_gitlab::{FailureReason, JobFailureReason};

/// The kind of GitLab's reason for the failure of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The job reached its timeout.
    Timeout,
    /// Retries fail until the configuration is fixed.
    Configuration(&'static str),
    /// The attempt is retried.
    Transient(&'static str),
    /// The reason says only that the job failed.
    Unspecific,
}

impl Reason {
    /// Classifies a reason of GitLab.
    pub(super) fn of(reason: &FailureReason) -> Self {
        use JobFailureReason as Known;
        let reason = match reason {
            FailureReason::Known(reason) => reason,
            FailureReason::Other(_) => return Self::Transient(""),
        };
        match reason {
            Known::JobExecutionTimeout
            | Known::JobExecutionServerTimeout
            | Known::ServerTimeoutRunning
            | Known::ServerTimeoutCanceling => Self::Timeout,
            Known::RunnerConfigurationError => {
                Self::Configuration("the runner's configuration is wrong")
            }
            Known::TraceSizeExceeded => {
                Self::Configuration("its log is longer than GitLab allows (`ci_max_trace_size`)")
            }
            Known::CiQuotaExceeded => {
                Self::Configuration("the compute minutes of the group are used up")
            }
            Known::UserBlocked => Self::Configuration("the server's user is blocked in GitLab"),
            Known::ProjectDeleted => Self::Configuration("the project is being deleted in GitLab"),
            Known::BuildsDisabled => Self::Configuration("CI/CD is switched off in the project"),
            Known::ArchivedFailure => Self::Configuration("the pipeline is archived in GitLab"),
            Known::StuckOrTimeoutFailure => {
                Self::Transient("no runner took it, or GitLab lost contact with its runner")
            }
            Known::StuckPendingNoMatchingRunners
            | Known::NoMatchingRunner
            | Known::RunnerUnsupported => Self::Transient("no runner can run it"),
            Known::StuckPendingWithMatchingRunners => Self::Transient("no runner took it in time"),
            Known::NoUpdatesRunning | Known::NoUpdatesCanceling => {
                Self::Transient("GitLab lost contact with its runner")
            }
            Known::RunnerSystemFailure => Self::Transient("the runner could not run it"),
            Known::RunnerInterrupted => Self::Transient("its runner was stopped"),
            Known::ScriptFailure | Known::UnknownFailure => Self::Unspecific,
        }
    }
}

/// The hint for failures that only the job's log explains.
pub(super) const SEE_LOG: &str = "see the job's log in GitLab";

/// Returns what to do about a failure, if GitLab's reason tells.
pub(super) fn hint(reason: &FailureReason) -> Option<&'static str> {
    let FailureReason::Known(reason) = reason else {
        return None;
    };
    match reason {
        JobFailureReason::RunnerConfigurationError | JobFailureReason::RunnerSystemFailure => {
            Some(SEE_LOG)
        }
        JobFailureReason::StuckPendingNoMatchingRunners
        | JobFailureReason::NoMatchingRunner
        | JobFailureReason::RunnerUnsupported => {
            Some("check that a runner has the tags of the CI template")
        }
        _ => None,
    }
}

/// Returns whether the log may say more than this reason of GitLab.
pub(super) fn may_be_explained_by_log(reason: &FailureReason) -> bool {
    matches!(
        reason,
        FailureReason::Known(
            JobFailureReason::RunnerSystemFailure
                | JobFailureReason::ScriptFailure
                | JobFailureReason::UnknownFailure
                | JobFailureReason::RunnerConfigurationError
        )
    )
}
