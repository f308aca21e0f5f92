//! Why a step of a build failed.

use buildbtw_model::FailureKind;
use serde::{Deserialize, Serialize};

/// The reason why a step failed.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// Whether to append the first error lines of the log to the message.
    pub(crate) see_log: bool,
    /// The function of the PKGBUILD that failed.
    #[serde(default)]
    pub(crate) function: Option<String>,
    /// The size of the scratch disk, if it was ever at least half full: it may have been full before a failed
    /// tool removed its files.
    #[serde(default)]
    pub(crate) busy_disk: Option<u64>,
    /// The bytes that files on a scratch disk in memory occupy.
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

    /// Blames the disk limit for the failure.
    pub(crate) fn exceeds_disk(&mut self, limit: u64) {
        self.kind = FailureKind::Package;
        self.message = format!(
            "the disk limit of {limit} bytes is exhausted; {}",
            self.message
        );
        self.busy_disk = None;
    }

    /// Records the function of the PKGBUILD that failed.
    pub(crate) fn in_function(mut self, function: Option<&str>) -> Self {
        self.function = function.map(str::to_owned);
        self
    }

    /// Requests the first error lines of the log in the message.
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

/// Prefixes an error with the operation that failed.
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
