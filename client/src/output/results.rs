//! Results on standard output, notes on standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use crate::error::{Error, Result};

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
