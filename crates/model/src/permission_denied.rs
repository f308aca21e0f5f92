//! The log line that reports a missing permission. If a job fails before it can exchange its ID token, its log is all
//! that the server sees of it. So the executor writes this line, and the server searches the log for it.

use std::fmt;
use std::path::Path;

/// The beginning of the message; an absolute path follows.
const DENIED: &str = "permission denied: ";

/// Why a user is not allowed to run or read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionDenied {
    path: String,
    reason: String,
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

    /// Finds the report in a line of a log, which may also contain colours and timestamps.
    #[must_use]
    pub fn find(line: &str) -> Option<Self> {
        let (_, said) = line.split_once(DENIED)?;
        let (path, reason) = said.split_once(" (")?;
        let (reason, _) = reason.rsplit_once(')')?;
        path.starts_with('/').then(|| Self {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

impl fmt::Display for PermissionDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DENIED}{} ({})", self.path, self.reason)
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
            let denied = PermissionDenied::new(Path::new("/a b/x"), reason);
            let line = format!("\u{1b}[31;1m{denied}\u{1b}[0;m");
            assert_eq!(PermissionDenied::find(&line), Some(denied));
        }
    }

    #[test]
    fn ignores_messages_of_other_programs() {
        for line in [
            "ERROR: fork/exec /root/x: permission denied",
            "permission denied: x (relative)",
            "permission denied: /x",
        ] {
            assert_eq!(PermissionDenied::find(line), None, "{line}");
        }
    }
}
