//! Why a step of a build failed.

use buildbtw_model::FailureKind;
use serde::{Deserialize, Serialize};

/// Why a step failed.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// Whether the log's first error lines tell more.
    pub(crate) see_log: bool,
    /// The function of the PKGBUILD that failed.
    #[serde(default)]
    pub(crate) function: Option<String>,
    /// The size of the scratch disk, if at least half of it was in use at some time: it may have been full
    /// before a tool that failed cleaned up after itself.
    #[serde(default)]
    pub(crate) busy_disk: Option<u64>,
    /// The bytes of the files of a scratch disk in memory.
    #[serde(default)]
    pub(crate) memory_files: Option<u64>,
}

impl Failure {
    pub(crate) fn package(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Package, message)
    }

    pub(crate) fn infrastructure(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Infrastructure, message)
    }

    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            see_log: false,
            function: None,
            busy_disk: None,
            memory_files: None,
        }
    }

    /// Names the limit that made the build fail.
    pub(crate) fn exceeds_disk(&mut self, limit: u64) {
        self.kind = FailureKind::Package;
        self.message = format!(
            "the disk limit of {limit} bytes is exhausted; {}",
            self.message
        );
        self.busy_disk = None;
    }

    /// Names the function of the PKGBUILD that failed.
    pub(crate) fn in_function(mut self, function: Option<&str>) -> Self {
        self.function = function.map(str::to_owned);
        self
    }

    /// Adds the log's first error lines to the message.
    pub(crate) fn see_log(mut self) -> Self {
        self.see_log = true;
        self
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::infrastructure(error.to_string())
    }
}

impl From<nix::Error> for Failure {
    fn from(error: nix::Error) -> Self {
        std::io::Error::from(error).into()
    }
}

/// Says what was being done when an error came up.
pub(crate) trait Context<T> {
    fn context(self, doing: &str) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn context(self, doing: &str) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut failure = error.into();
            failure.message = format!("{doing}: {}", failure.message);
            failure
        })
    }
}
