//! The text of an `.SRCINFO`, line by line.

use super::field::Field;

/// The lines that are neither empty nor comments, with their numbers from 1 on.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The key and the value of an assignment.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// The field and the architecture suffix of a key.
pub(super) fn field(key: &str) -> Option<(Field, &str)> {
    Field::ALL.into_iter().find_map(|field| {
        let suffix = key.strip_prefix(field.key())?;
        match suffix.strip_prefix('_') {
            Some(architecture) if !architecture.is_empty() => Some((field, architecture)),
            _ if suffix.is_empty() => Some((field, "")),
            _ => None,
        }
    })
}
