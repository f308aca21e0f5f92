//! Whose fault it is that a stage failed, which is what the runner wants to know.

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
