//! One check, and how it ended.

use std::fmt;

use buildbtw_model::Explanation;
use serde::{Deserialize, Serialize};

/// How a check ended, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// It was not checked, for the reason in the message.
    Skipped,
    /// Something is not as it should be, and the program works nevertheless.
    Warning,
    /// The program does not work, or not as configured.
    Failure,
}

impl Status {
    /// Returns the word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A check that was performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked, in a few words.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was found, in one sentence without a full stop.
    pub message: String,
    /// The command or instruction that repairs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
}

impl Check {
    /// Creates a check that found nothing wrong.
    #[must_use]
    pub fn ok(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, message, None)
    }

    /// Creates a check that was not performed.
    #[must_use]
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, Status::Skipped, why, None)
    }

    /// Creates a warning with what removes it.
    #[must_use]
    pub fn warning(
        name: impl Into<String>,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self::new(name, Status::Warning, message, Some(repair.into()))
    }

    /// Creates a failure with what repairs it.
    #[must_use]
    pub fn failure(
        name: impl Into<String>,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self::new(name, Status::Failure, message, Some(repair.into()))
    }

    /// Creates a failure from an error; `otherwise` repairs it if the error has no hint.
    #[must_use]
    pub fn failed(
        name: impl Into<String>,
        explanation: Explanation,
        otherwise: impl Into<String>,
    ) -> Self {
        let Explanation { message, hint } = explanation;
        Self::failure(name, message, hint.unwrap_or_else(|| otherwise.into()))
    }

    fn new(
        name: impl Into<String>,
        status: Status,
        message: impl Into<String>,
        repair: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            status,
            message: message.into(),
            repair,
        }
    }
}
