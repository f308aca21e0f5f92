//! Settings of builds as GitLab pipelines.

use std::time::Duration;

use buildbtw_model::{Architecture, FailureKind};

/// GitLab knows little more about a job that failed by itself, so the wait for its reason is short. The
/// runner of a stopped job is alive, and still runs after_script (5 min by default), the end of its
/// processes and uploads before it reports a reason.
const PATIENCE_AFTER_FAULT: Duration = Duration::from_secs(15);

/// How parameters reach the jobs of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Typed inputs.
    Inputs,
    /// Variables.
    Variables,
}

/// The checked settings of builds on GitLab.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// The architectures that GitLab builds for.
    pub architectures: Vec<Architecture>,
    /// Maximum number of unfinished pipelines.
    pub max_pipelines: usize,
    /// Time between the creation of two pipelines.
    pub creation_interval: Duration,
    /// Time between polls.
    pub tick: Duration,
    /// How the template gets its parameters.
    pub parameters: ParameterKind,
    /// Whether only jobs of protected refs are accepted.
    pub protected_refs_only: bool,
    /// The issuer in GitLab's ID tokens.
    pub issuer: Option<String>,
    /// How long an unconfirmed pipeline may take to appear.
    pub settle: Duration,
    /// How long a job may run before it exchanges its ID token.
    pub exchange: Duration,
    /// How long to wait for GitLab's reason why a job was stopped.
    pub job_end: Duration,
}

impl PipelineSettings {
    /// Returns how long to wait for GitLab's reason after a job reported a failure of this kind.
    #[must_use]
    pub fn reason_timeout(&self, reported: Option<FailureKind>) -> Duration {
        match reported {
            Some(FailureKind::Infrastructure) => self.job_end.min(PATIENCE_AFTER_FAULT),
            _ => self.job_end,
        }
    }
}
