//! How a package's fields go together with those of its base.

use super::field::Field;
use super::stored::{Line, lines};

/// What a package does with the plain values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are the base's.
    Nothing,
    /// It adds to them.
    Added,
    /// It has others, or none.
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
