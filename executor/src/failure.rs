//! Why a stage failed, and whose fault it is: the runner retries or fails the job accordingly.

use std::io;
use std::path::Path;

use buildbtw_builder::{RunAs, permission_denied};
use buildbtw_model::{Explanation, PermissionDenied};

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The job's own fault: running it again changes nothing.
    #[error("{explanation}")]
    Build {
        /// What happened, for the job's log.
        explanation: Explanation,
        /// What GitLab shows as the job's exit code.
        exit_code: i32,
    },
    /// An error in this host's or the job's configuration: neither the job nor the build is retried until it is
    /// fixed.
    #[error("{explanation}")]
    Final {
        /// What happened, for the job's log and the server.
        explanation: Explanation,
        /// The missing permission that is the cause.
        denied: Option<PermissionDenied>,
    },
    /// A failure of this host, the server or the network between them.
    #[error("{}", Explanation::of_error(.0.as_ref()))]
    System(#[from] anyhow::Error),
}

impl Failure {
    /// Creates a failure that is the job's own fault.
    pub(crate) fn build(explanation: impl Into<Explanation>) -> Self {
        Self::Build {
            explanation: explanation.into(),
            exit_code: 1,
        }
    }

    /// Creates a failure that lasts until the configuration is changed.
    pub(crate) fn of_configuration(explanation: impl Into<Explanation>) -> Self {
        Self::Final {
            explanation: explanation.into(),
            denied: None,
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
            Self::from,
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
    pub(crate) fn system(explanation: impl Into<Explanation>) -> Self {
        Self::System(anyhow::Error::new(explanation.into()))
    }

    /// Returns what happened and what to do next.
    pub(crate) fn explanation(&self) -> Explanation {
        match self {
            Self::Build { explanation, .. } | Self::Final { explanation, .. } => {
                explanation.clone()
            }
            Self::System(error) => Explanation::of_error(error.as_ref()),
        }
    }

    /// Returns the missing permission that is the cause, if that is known.
    pub(crate) fn denied(&self) -> Option<&PermissionDenied> {
        match self {
            Self::Final { denied, .. } => denied.as_ref(),
            Self::Build { .. } | Self::System(_) => None,
        }
    }
}

impl From<PermissionDenied> for Failure {
    fn from(denied: PermissionDenied) -> Self {
        Self::Final {
            explanation: denied.to_string().into(),
            denied: Some(denied),
        }
    }
}

impl From<Explanation> for Failure {
    fn from(explanation: Explanation) -> Self {
        Self::system(explanation)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::System(error.into())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn keeps_hint_of_a_cause() {
        let cause: Result<(), Explanation> = Err(Explanation::with_hint("it is public", "chmod"));
        let error = cause.context("cannot load the settings").unwrap_err();
        let expected = Explanation::with_hint("cannot load the settings: it is public", "chmod");
        assert_eq!(Failure::from(error).explanation(), expected);
    }

    #[test]
    fn failures_match_snapshot() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let denied = PermissionDenied::new(Path::new("/srv"), "it belongs to root, with mode 700");
        let failures = [
            Failure::not_started(Path::new("/usr/bin/bwrap"), None, &missing),
            Failure::from(denied),
        ];
        let text = failures.map(|failure| failure.explanation().to_string());
        insta::assert_snapshot!(text.join("\n\n"));
    }

    #[test]
    fn reports_missing_permission_of_a_final_failure() {
        let denied = PermissionDenied::new(Path::new("/x"), "it is closed");
        let failure = Failure::from(denied.clone());
        assert_eq!(failure.denied(), Some(&denied));
        assert_eq!(failure.to_string(), "permission denied: /x (it is closed)");
        assert_eq!(Failure::of_configuration("no").denied(), None);
    }
}
