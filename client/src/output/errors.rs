//! Errors, on standard error.

use std::io::Write as _;

use super::clean::clean;
use super::style;
use crate::error::Error;

/// Prints an error as one line, and what to do about it as another.
pub(crate) fn report(message: &str, hint: Option<&str>) {
    let (error, note) = (style::ERROR, style::HINT);
    let mut stderr = anstream::stderr();
    // When standard error is closed there is nobody to tell.
    let _ = writeln!(stderr, "{error}error:{error:#} {}", clean(message));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{note}hint:{note:#} {}", clean(hint));
    }
}

/// Prints an error of a command.
pub fn report_error(error: &Error) {
    if !matches!(error, Error::OutputClosed) {
        report(&error.to_string(), error.hint().as_deref());
    }
}
