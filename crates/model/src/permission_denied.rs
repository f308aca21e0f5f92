//! The log line that reports a missing permission. If a job fails before it can exchange its ID token, its log is all
//! that the server sees of it. So the executor writes this line, and the server searches the log for it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The beginning of the line; JSON follows.
const MARKER: &str = "buildbtw-refusal: ";

/// Why a user is not allowed to run or read a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionDenied {
    path: String,
    reason: String,
}

/// What a line can report.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Refusal {
    PermissionDenied(PermissionDenied),
}

impl PermissionDenied {
    /// Creates the report for a path that was needed, with what denies access to it.
    #[must_use]
    pub fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.display().to_string(),
            reason: reason.into(),
        }
    }

    /// Returns the line for the job's log.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_line(&self) -> serde_json::Result<String> {
        let refusal = Refusal::PermissionDenied(self.clone());
        Ok(format!("{MARKER}{}", serde_json::to_string(&refusal)?))
    }

    /// Finds the report in a line of a log, which may also contain colours and timestamps.
    #[must_use]
    pub fn find(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once(MARKER)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        values
            .next()?
            .ok()
            .map(|Refusal::PermissionDenied(denied)| denied)
    }
}

impl fmt::Display for PermissionDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "permission denied: {} ({})", self.path, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_report_in_log_line() {
        for reason in [
            "nobody is not allowed to execute it",
            "its folder /a (b) is closed",
        ] {
            let denied = PermissionDenied::new(Path::new("/a b/\n\"x\""), reason);
            let line = denied.to_line().unwrap();
            assert!(!line.contains('\n'), "{line}");
            let line = format!("\u{1b}[31;1m{line}\u{1b}[0;m");
            assert_eq!(PermissionDenied::find(&line), Some(denied));
        }
    }

    #[test]
    fn ignores_other_messages() {
        for line in [
            "ERROR: fork/exec /root/x: permission denied",
            "permission denied: /x (its folder / is closed)",
            "buildbtw-refusal: permission denied",
            r#"buildbtw-refusal: {"kind":"other","path":"/x","reason":"y"}"#,
            r#"buildbtw-refusal: {"kind":"permission_denied","path":"/x"}"#,
        ] {
            assert_eq!(PermissionDenied::find(line), None, "{line}");
        }
    }
}
