//! GitLab's reasons for the end of a job.

/// What GitLab's reason says about a failed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The job ran out of time.
    Timeout,
    /// Trying again would not help before somebody has changed something.
    SetUp(&'static str),
    /// Tried again.
    Fault(&'static str),
    /// Says no more than that the job failed.
    Vague,
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
                Self::SetUp("the runner's configuration is wrong; see its log in GitLab")
            }
            "trace_size_exceeded" => {
                Self::SetUp("its log is longer than GitLab allows (`ci_max_trace_size`)")
            }
            "ci_quota_exceeded" => Self::SetUp("the compute minutes of the group are used up"),
            "user_blocked" => Self::SetUp("the server's user is blocked in GitLab"),
            "project_deleted" => Self::SetUp("the project is being deleted in GitLab"),
            "builds_disabled" => Self::SetUp("CI/CD is switched off in the project"),
            "archived_failure" => Self::SetUp("the pipeline is archived in GitLab"),
            "stuck_or_timeout_failure" => {
                Self::Fault("no runner took it, or GitLab lost contact with its runner")
            }
            "stuck_pending_no_matching_runners" | "no_matching_runner" | "runner_unsupported" => {
                Self::Fault("no runner can run it")
            }
            "stuck_pending_with_matching_runners" => Self::Fault("no runner took it in time"),
            "no_updates_running" | "no_updates_canceling" => {
                Self::Fault("GitLab lost contact with its runner")
            }
            "runner_system_failure" => {
                Self::Fault("the runner could not run it; see its log in GitLab")
            }
            "runner_interrupted" => Self::Fault("its runner was stopped"),
            "script_failure" | "unknown_failure" => Self::Vague,
            _ => Self::Fault(""),
        }
    }
}

/// Whether the log may say more than this reason of GitLab.
pub(super) fn is_told_by_log(reason: &str) -> bool {
    matches!(
        reason,
        "runner_system_failure"
            | "script_failure"
            | "unknown_failure"
            | "runner_configuration_error"
    )
}
