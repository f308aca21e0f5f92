//! Errors, on standard error.

use std::io::Write as _;

use super::clean::clean;
use super::style;
use crate::error::Error;

/// Starts a line of a message that says what to do about it.
const HINT: &str = "hint: ";

/// The message of a failure without what to do about it, and that: each is shown on a line of its own.
pub(crate) fn split_hint(message: &str) -> (String, Option<String>) {
    let (hints, rest): (Vec<&str>, Vec<&str>) =
        message.lines().partition(|line| line.starts_with(HINT));
    let hints: Vec<&str> = hints
        .iter()
        .filter_map(|line| line.strip_prefix(HINT))
        .collect();
    let hint = Some(hints.join("; ")).filter(|hint| !hint.is_empty());
    (rest.join("\n"), hint)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_hint_from_message() {
        for (message, rest, hint) in [
            ("it failed", "it failed", None),
            ("it failed\nhint: do this", "it failed", Some("do this")),
            (
                "it failed\nhint: do this\ncurl: (6) no\nhint: or that",
                "it failed\ncurl: (6) no",
                Some("do this; or that"),
            ),
            ("no hint: here", "no hint: here", None),
        ] {
            let expected = (rest.to_owned(), hint.map(str::to_owned));
            assert_eq!(split_hint(message), expected);
        }
    }
}
