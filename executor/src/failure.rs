//! Why a stage failed, and whose fault it is: the runner retries or fails the job accordingly.

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
    /// An error in this host's or the job's configuration: neither the job nor the build is retried until it is
    /// fixed.
    #[error("{0}")]
    Final(String),
    /// A failure of this host, the server or the network between them.
    #[error("{0:#}")]
    System(#[from] anyhow::Error),
}

impl Failure {
    /// Creates a failure that is the job's own fault.
    pub(crate) fn build(message: impl Into<String>) -> Self {
        Self::Build {
            message: message.into(),
            exit_code: 1,
        }
    }

    /// Creates the failure of a program that cannot be started, by `user` if it is not this process's own.
    pub(crate) fn not_started(program: &Path, user: Option<RunAs>, error: &io::Error) -> Self {
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        let denied = is_denied
            .then(|| permission_denied(program, user))
            .flatten();
        denied.map_or_else(
            || Self::system(format!("cannot start `{}`: {error}", program.display())),
            Self::Final,
        )
    }

    /// Returns whether the reader of this process's output is gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let Self::System(error) = self else {
            return false;
        };
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Creates a failure that is not the job's fault.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::System(anyhow::Error::msg(message.into()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::System(error.into())
    }
}
