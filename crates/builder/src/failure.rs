//! Why a step of a build failed.

use std::fmt;

use buildbtw_model::{Explanation, FailureKind};
use serde::{Deserialize, Serialize};

/// The reason why a step failed.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// What to do next.
    #[serde(default)]
    pub(crate) hint: Option<String>,
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explanation().fmt(f)
    }
}

impl Failure {
    pub(crate) fn package(explanation: impl Into<Explanation>) -> Self {
        Self::new(FailureKind::Package, explanation)
    }

    pub(crate) fn infrastructure(explanation: impl Into<Explanation>) -> Self {
        Self::new(FailureKind::Infrastructure, explanation)
    }

    pub(crate) fn new(kind: FailureKind, explanation: impl Into<Explanation>) -> Self {
        let Explanation { message, hint } = explanation.into();
        Self {
            kind,
            message,
            hint,
            see_log: false,
            function: None,
            busy_disk: None,
            memory_files: None,
        }
    }

    /// Adds what to do next, after what is already known.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = Some(match self.hint {
            Some(before) => format!("{before}; {hint}"),
            None => hint,
        });
        self
    }

    /// Returns what is shown of the failure.
    pub(crate) fn explanation(&self) -> Explanation {
        Explanation {
            message: self.message.clone(),
            hint: self.hint.clone(),
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

/// Failures as they are reported, for snapshots: title, message and hint.
#[cfg(test)]
pub(crate) fn recorded<N: fmt::Display>(
    failures: impl IntoIterator<Item = (N, Failure)>,
) -> String {
    let record = |(name, failure): (N, Failure)| {
        format!("## {name} ({})\n{}\n", failure.kind, failure.explanation())
    };
    let failures: Vec<String> = failures.into_iter().map(record).collect();
    failures.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_message_and_hint_apart_between_processes() {
        let failure = Failure::package("it failed")
            .hint("do this")
            .hint("or that");
        let text = serde_json::to_string(&failure).unwrap();
        let read: Failure = serde_json::from_str(&text).unwrap();
        let expected = Explanation::with_hint("it failed", "do this; or that");
        assert_eq!(read.explanation(), expected);
        let context: Result<(), Failure> = Err(read).context("building");
        let failure = context.unwrap_err();
        assert_eq!(
            failure.to_string(),
            "building: it failed\nhint: do this; or that"
        );
    }

    #[test]
    fn reads_failure_of_a_helper_that_knows_no_hints() {
        let text = r#"{"kind":"package","message":"it failed","see_log":true}"#;
        let failure: Failure = serde_json::from_str(text).unwrap();
        assert_eq!(failure.explanation(), "it failed".into());
    }
}
