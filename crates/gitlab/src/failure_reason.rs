//! GitLab's reasons for the failure of a job.

use std::fmt;

use buildbtw_model::text_enum;
use serde::Deserialize;

text_enum! {
    /// A reason that this program distinguishes, from GitLab's `Enums::Ci::CommitStatus`.
    JobFailureReason, "reason for the failure of a job" {
        /// It reached its timeout, as its runner says.
        JobExecutionTimeout = "job_execution_timeout",
        /// It reached its timeout, as GitLab says.
        JobExecutionServerTimeout = "job_execution_server_timeout",
        /// It ran for too long.
        ServerTimeoutRunning = "server_timeout_running",
        /// Its cancellation took too long.
        ServerTimeoutCanceling = "server_timeout_canceling",
        /// The configuration of its runner is wrong.
        RunnerConfigurationError = "runner_configuration_error",
        /// Its log is too long.
        TraceSizeExceeded = "trace_size_exceeded",
        /// The compute minutes are used up.
        CiQuotaExceeded = "ci_quota_exceeded",
        /// Its user is blocked.
        UserBlocked = "user_blocked",
        /// Its project is being deleted.
        ProjectDeleted = "project_deleted",
        /// CI/CD is switched off in its project.
        BuildsDisabled = "builds_disabled",
        /// Its pipeline is archived.
        ArchivedFailure = "archived_failure",
        /// No runner took it, or GitLab lost contact with its runner.
        StuckOrTimeoutFailure = "stuck_or_timeout_failure",
        /// It waited for a runner, and none can run it.
        StuckPendingNoMatchingRunners = "stuck_pending_no_matching_runners",
        /// It waited for a runner, and none of those that can run it took it.
        StuckPendingWithMatchingRunners = "stuck_pending_with_matching_runners",
        /// No runner can run it.
        NoMatchingRunner = "no_matching_runner",
        /// Its runner is too old for it.
        RunnerUnsupported = "runner_unsupported",
        /// GitLab lost contact with its runner.
        NoUpdatesRunning = "no_updates_running",
        /// GitLab lost contact with its runner during the cancellation.
        NoUpdatesCanceling = "no_updates_canceling",
        /// Its runner could not run it.
        RunnerSystemFailure = "runner_system_failure",
        /// Its runner was stopped.
        RunnerInterrupted = "runner_interrupted",
        /// Its script failed.
        ScriptFailure = "script_failure",
        /// GitLab gives no reason.
        UnknownFailure = "unknown_failure",
    }
}

/// GitLab's reason for the failure of a job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum FailureReason {
    /// A reason that this program distinguishes.
    Known(JobFailureReason),
    /// Another one, as received.
    Other(String),
}

impl From<String> for FailureReason {
    fn from(text: String) -> Self {
        text.parse::<JobFailureReason>()
            .map_or(Self::Other(text), Self::Known)
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(reason) => reason.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_reasons_of_a_newer_gitlab() {
        let read = |text: &str| serde_json::from_value::<FailureReason>(text.into()).unwrap();
        let known = read("script_failure");
        assert_eq!(known, FailureReason::Known(JobFailureReason::ScriptFailure));
        let other = read("something_new");
        assert_eq!(other, FailureReason::Other("something_new".to_owned()));
        for reason in [known, other] {
            assert_eq!(read(&reason.to_string()), reason);
        }
    }
}
