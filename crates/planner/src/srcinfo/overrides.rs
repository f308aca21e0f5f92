//! How a package's fields override those of its base.

use super::field::Field;
use super::stored::{Line, lines};

/// How a package changes the values of a field without architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It inherits the base's values.
    Nothing,
    /// It appends to the base's values.
    Added,
    /// It replaces the base's values, or clears them.
    Replaced,
}

impl Change {
    /// Compares the sections of the base and of the package.
    pub(super) fn of(base: &str, section: &str, field: Field) -> Self {
        let plain = |section| {
            lines(section, field as u8)
                .filter(|line: &Line<'_>| line.architecture.is_empty())
                .map(|line| line.value)
        };
        let mut own = plain(section).peekable();
        if own.peek().is_none() {
            return Self::Nothing;
        }
        let mut inherited = plain(base).peekable();
        let repeats =
            inherited.peek().is_some() && inherited.all(|value| own.next() == Some(value));
        if repeats && own.next().is_some() {
            Self::Added
        } else {
            Self::Replaced
        }
    }
}
