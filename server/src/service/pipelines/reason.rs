//! GitLab's reasons for the end of a job.

/// What GitLab's reason says about a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The job ran out of time.
    Timeout,
    /// Trying again would not help before somebody has changed something.
    Configuration(&'static str),
    /// Tried again.
    Transient(&'static str),
    /// Says no more than that the job failed.
    Unspecific,
}

impl Reason {
    /// GitLab's words are those of `Enums::Ci::CommitStatus`.
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

/// Whether the log may say more than this reason of GitLab.
pub(super) fn may_be_explained_by_log(reason: &str) -> bool {
    matches!(
        reason,
        "runner_system_failure"
            | "script_failure"
            | "unknown_failure"
            | "runner_configuration_error"
    )
}
