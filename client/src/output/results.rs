//! Results on standard output, notes and hints on standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::hints::hint_line;
use super::json::{Form, Projection};
use super::screen::Screen;
use crate::error::Result;

/// How results are printed.
#[derive(Debug)]
pub(crate) struct Output {
    json: Option<Projection>,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    /// The size of what the results are read on.
    pub(crate) screen: Screen,
}

impl Output {
    /// Creates the output of results: for people, or as JSON.
    pub(crate) fn new(json: Option<Projection>) -> Self {
        Self {
            json,
            terminal: std::io::stdout().is_terminal(),
            screen: Screen::of_stdout(),
        }
    }

    /// Returns whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// Returns whether a field is printed as JSON.
    pub(crate) fn has_field(&self, field: &str) -> bool {
        self.json.as_ref().is_some_and(|json| json.has(field))
    }

    /// Prints a line of the result.
    pub(crate) fn line(&self, text: impl Display) -> Result<()> {
        Ok(writeln!(anstream::stdout(), "{text}")?)
    }

    /// Prints a result as JSON, over several lines.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.projected(value, Form::Pretty)
    }

    /// Prints one of many results as JSON, on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<()> {
        self.projected(value, Form::Line)
    }

    fn projected(&self, value: &impl Serialize, form: Form) -> Result<()> {
        let texts = match &self.json {
            Some(json) => json.texts(value, form)?,
            None => return Ok(()),
        };
        texts.iter().try_for_each(|text| self.line(text))
    }

    /// Prints bytes unchanged.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Prints something that is not part of the result.
    pub(crate) fn note(&self, text: impl Display) {
        // A closed standard error does not change the result.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Prints the next step for the user, as `hint: …`.
    pub(crate) fn hint(&self, text: impl Display) {
        self.note(hint_line(&text.to_string()));
    }
}
