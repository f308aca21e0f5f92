//! Errors, on standard error.

use std::io::Write as _;

use super::clean::clean;
use super::hints::hint_line;
use super::style;
use crate::error::Error;

/// Prints an error on one line, and its hint on another.
pub(crate) fn report(message: &str, hint: Option<&str>) {
    let error = style::ERROR;
    let mut stderr = anstream::stderr();
    // A closed standard error leaves no other place to report to.
    let _ = writeln!(stderr, "{error}error:{error:#} {}", clean(message));
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
