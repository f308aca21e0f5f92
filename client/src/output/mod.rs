//! Everything that is printed goes through here: it adapts to terminals and pipes, and lets no
//! control character of a package, a log or a server through.

mod clean;
pub(crate) mod style;
mod table;
pub(crate) mod time;

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::{Error, Result};

pub(crate) use clean::{LogCleaner, clean};
pub(crate) use table::{Cell, Table};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Applies it to the whole program.
    pub fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether JSON is wanted.
    pub(crate) json: bool,
    /// Whether a person looks at standard output.
    pub(crate) terminal: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Prints a line of the result.
    pub(crate) fn line(self, text: impl Display) -> Result<()> {
        Ok(writeln!(anstream::stdout(), "{text}")?)
    }

    /// Prints a result as JSON, over several lines.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(unprintable)?;
        self.line(text)
    }

    /// Prints one of many results as JSON, on one line.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(unprintable)?;
        self.line(text)
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Says something that is no part of the result.
    pub(crate) fn note(self, text: impl Display) {
        // Whether anybody reads it makes no difference to the result.
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "used as a function that maps errors"
)]
fn unprintable(error: serde_json::Error) -> Error {
    Error::new(error.to_string())
}

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
