//! Errors, on standard error.

use std::io::Write as _;

use super::clean::clean;
use super::hints::hint_line;
use super::style;
use crate::error::Error;

/// Prints an error, and its hint on a line of its own. An error of several lines keeps them.
pub(crate) fn report(message: &str, hint: Option<&str>) {
    let error = style::ERROR;
    let mut stderr = anstream::stderr();
    // A closed standard error leaves no other place to report to.
    let mut lines = message.trim_end().lines();
    let first = clean(lines.next().unwrap_or_default());
    let _ = writeln!(stderr, "{error}error:{error:#} {first}");
    for line in lines {
        let _ = writeln!(stderr, "  {}", clean(line));
    }
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{}", hint_line(hint));
    }
}

/// Prints an error of a command.
pub fn report_error(error: &Error) {
    if !matches!(error, Error::OutputClosed) {
        report(&error.to_string(), error.hint().as_deref());
    }
}
