//! Results on standard output, notes and hints on standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::hints::hint_line;
use crate::error::{Error, Result};

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether `--json` was given.
    pub(crate) json: bool,
    /// Whether standard output is a terminal.
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

    /// Prints bytes unchanged.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Prints something that is not part of the result.
    pub(crate) fn note(self, text: impl Display) {
        // A closed standard error does not change the result.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Prints the next step for the user, as `hint: …`.
    pub(crate) fn hint(self, text: impl Display) {
        self.note(hint_line(&text.to_string()));
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "used as a function that maps errors"
)]
fn unprintable(error: serde_json::Error) -> Error {
    Error::new(error.to_string())
}
