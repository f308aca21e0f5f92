//! GitLab's reasons for the failure of a job.

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
    /// Classifies a reason of GitLab, as listed in `Enums::Ci::CommitStatus`.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "job_execution_timeout"
            | "job_execution_server_timeout"
            | "server_timeout_running"
            | "server_timeout_canceling" => Self::Timeout,
            "runner_configuration_error" => {
                Self::Configuration("the runner's configuration is wrong; see its log in GitLab")
            }
            "trace_size_exceeded" => {
                Self::Configuration("its log is longer than GitLab allows (`ci_max_trace_size`)")
            }
            "ci_quota_exceeded" => {
                Self::Configuration("the compute minutes of the group are used up")
            }
            "user_blocked" => Self::Configuration("the server's user is blocked in GitLab"),
            "project_deleted" => Self::Configuration("the project is being deleted in GitLab"),
            "builds_disabled" => Self::Configuration("CI/CD is switched off in the project"),
            "archived_failure" => Self::Configuration("the pipeline is archived in GitLab"),
            "stuck_or_timeout_failure" => {
                Self::Transient("no runner took it, or GitLab lost contact with its runner")
            }
            "stuck_pending_no_matching_runners" | "no_matching_runner" | "runner_unsupported" => {
                Self::Transient("no runner can run it")
            }
            "stuck_pending_with_matching_runners" => Self::Transient("no runner took it in time"),
            "no_updates_running" | "no_updates_canceling" => {
                Self::Transient("GitLab lost contact with its runner")
            }
            "runner_system_failure" => {
                Self::Transient("the runner could not run it; see its log in GitLab")
            }
            "runner_interrupted" => Self::Transient("its runner was stopped"),
            "script_failure" | "unknown_failure" => Self::Unspecific,
            _ => Self::Transient(""),
        }
    }
}

/// Returns whether the log may say more than this reason of GitLab.
pub(super) fn may_be_explained_by_log(reason: &str) -> bool {
    matches!(
        reason,
        "runner_system_failure"
            | "script_failure"
            | "unknown_failure"
            | "runner_configuration_error"
    )
}
