//! JSON output: the fields that a script asks for, and a filter over them.

mod filter;
mod selection;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
pub(crate) use filter::Filter;
pub(crate) use selection::Selection;

/// What is printed of a result as JSON.
#[derive(Debug)]
pub(crate) struct Projection {
    selection: Selection,
    filter: Option<Filter>,
}

impl Projection {
    /// Creates a projection; without a selection, all fields are printed.
    pub(crate) fn new(selection: Selection, filter: Option<Filter>) -> Self {
        Self { selection, filter }
    }

    /// Returns whether a field is printed, which saves requests for those that are not. A filter gets selected fields
    /// only.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.selection.has(field)
    }

    /// Returns the texts to print: the selected fields, or each value that the filter yields.
    pub(crate) fn texts(&self, value: &impl Serialize, form: Form) -> Result<Vec<String>> {
        let value = serde_json::to_value(value).map_err(unprintable)?;
        let value = self.selection.of(value);
        match &self.filter {
            Some(filter) => filter.run(value),
            None => Ok(vec![form.text(&value)?]),
        }
    }
}

/// How JSON without a filter is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Over several lines.
    Pretty,
    /// On one line, for results that are streams.
    Line,
}

impl Form {
    fn text(self, value: &Value) -> Result<String> {
        match self {
            Self::Pretty => serde_json::to_string_pretty(value),
            Self::Line => serde_json::to_string(value),
        }
        .map_err(unprintable)
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "used as a function that maps errors"
)]
fn unprintable(error: serde_json::Error) -> Error {
    Error::new(error.to_string())
}
