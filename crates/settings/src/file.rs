//! Reads a configuration file.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use buildbtw_model::{Explanation, settings};
use toml::de::{DeTable, DeValue};

/// A configuration file.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    pub(crate) entries: Vec<Entry>,
    /// The keys of the settings that neither the command line nor the environment overrides.
    pub(crate) applied: BTreeSet<String>,
}

/// A line `key = value` of a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// A value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Integer(String),
    Float(String),
    Boolean(bool),
    List(Vec<Value>),
    Time,
    Table,
}

/// A line of a file, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, line {}", self.path.display(), self.line)
    }
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not TOML.
    pub fn read(path: &Path) -> Result<Self, Explanation> {
        let text = settings::read(path).map_err(|error| unreadable(path, &error))?;
        Self::parse(path, &text)
    }

    /// Reads a file, unless it does not exist.
    pub(crate) fn read_if_exists(path: &Path) -> Result<Option<Self>, Explanation> {
        match settings::read(path) {
            Ok(text) => Self::parse(path, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// Parses the text of a file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Explanation> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let place = Place { path, line };
            let reason = error.message().replace('\n', ", ");
            Explanation::with_hint(
                format!("{place}: {reason}"),
                "settings are lines like `name = \"text\"`, `name = 1`, `name = true` or `name = [\"a\", \"b\"]`",
            )
        })?;
        let mut entries: Vec<(Range<usize>, Entry)> = table
            .into_inner()
            .into_iter()
            .map(|(key, value)| {
                let span = key.span();
                let entry = Entry {
                    line: line_of(text, span.start),
                    key: key.into_inner().into_owned(),
                    value: Value::from(value.get_ref()),
                };
                (span, entry)
            })
            .collect();
        entries.sort_by_key(|(span, _)| span.start);
        Ok(Self {
            path: path.to_owned(),
            entries: entries.into_iter().map(|(_, entry)| entry).collect(),
            applied: BTreeSet::new(),
        })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where an entry is, for messages.
    pub(crate) fn place(&self, entry: &Entry) -> Place<'_> {
        let (path, line) = (&self.path, entry.line);
        Place { path, line }
    }
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(number) => {
                // Those that do not fit are too large for every setting, and shown as they are written.
                let parsed = i128::from_str_radix(number.as_str(), number.radix());
                Self::Integer(parsed.map_or_else(|_| number.to_string(), |n| n.to_string()))
            }
            DeValue::Float(number) => Self::Float(number.as_str().to_owned()),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Datetime(_) => Self::Time,
            DeValue::Array(values) => Self::List(
                values
                    .iter()
                    .map(|value| Self::from(value.get_ref()))
                    .collect(),
            ),
            DeValue::Table(_) => Self::Table,
        }
    }
}

/// Returns the number of the line of a text that a byte is in.
#[must_use]
pub fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Explains why a file cannot be read.
fn unreadable(path: &Path, error: &io::Error) -> Explanation {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "create it, or name another file with --config",
        io::ErrorKind::PermissionDenied => {
            "let the user of this program read it, or name another file with --config"
        }
        _ => "name a text file with --config",
    };
    let path = path.display();
    Explanation::with_hint(
        format!("cannot read the configuration file `{path}`: {error}"),
        hint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explains_missing_permission() {
        let error = io::Error::from_raw_os_error(13);
        let found = unreadable(Path::new("/etc/program.toml"), &error).to_string();
        let expected = "cannot read the configuration file `/etc/program.toml`: Permission denied (os error 13)\n\
                        hint: let the user of this program read it, or name another file with --config";
        assert_eq!(found, expected);
    }
}
