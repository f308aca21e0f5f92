//! Whose fault it is that a stage failed, which is what the runner wants to know.

use std::io;
use std::path::Path;

use buildbtw_builder::{RunAs, permission_denied};

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The job's own fault: running it again changes nothing.
    #[error("{message}")]
    Build {
        /// What happened, for the job's log.
        message: String,
        /// What GitLab shows as the job's exit code.
        exit_code: i32,
    },
    /// Neither the job nor the build can succeed before somebody has changed this host or the job's
    /// configuration, so that nobody tries again until then.
    #[error("{0}")]
    Final(String),
    /// The fault of this host, the server or something between.
    #[error("{0:#}")]
    System(#[from] anyhow::Error),
}

impl Failure {
    /// The job's own fault.
    pub(crate) fn build(message: impl Into<String>) -> Self {
        Self::Build {
            message: message.into(),
            exit_code: 1,
        }
    }

    /// That a program cannot be started; `user` is who starts it when that is not this process's own.
    pub(crate) fn not_started(program: &Path, user: Option<RunAs>, error: &io::Error) -> Self {
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        let denied = is_denied
            .then(|| permission_denied(program, user))
            .flatten();
        denied.map_or_else(
            || Self::system(format!("cannot start {}: {error}", program.display())),
            Self::Final,
        )
    }

    /// Whether it is that nobody reads this process's output any more.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let Self::System(error) = self else {
            return false;
        };
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Not the job's fault.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::System(anyhow::Error::msg(message.into()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::System(error.into())
    }
}
