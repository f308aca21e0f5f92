//! The line by which programs say which permission is missing. A job's log is all that reaches the server of a job that
//! could not ask for its build, so the executor writes this line and the server reads it.

use std::fmt;
use std::path::Path;

/// The beginning of the line; a path follows, which begins with a slash.
const DENIED: &str = "permission denied: ";

/// Why a user may not run or read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionDenied {
    path: String,
    reason: String,
}

impl PermissionDenied {
    /// The path that was needed, and what stops the user.
    #[must_use]
    pub fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.display().to_string(),
            reason: reason.into(),
        }
    }

    /// Reads it from a line of a log, where colours and times may stand around it.
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
    fn is_found_in_the_line_it_was_written_to() {
        for reason in ["nobody may not execute it", "its folder /a (b) is closed"] {
            let denied = PermissionDenied::new(Path::new("/a b/x"), reason);
            let line = format!("\u{1b}[31;1m{denied}\u{1b}[0;m");
            assert_eq!(PermissionDenied::find(&line), Some(denied));
        }
    }

    #[test]
    fn is_not_what_other_programs_say() {
        for line in [
            "ERROR: fork/exec /root/x: permission denied",
            "permission denied: x (relative)",
            "permission denied: /x",
        ] {
            assert_eq!(PermissionDenied::find(line), None, "{line}");
        }
    }
}
