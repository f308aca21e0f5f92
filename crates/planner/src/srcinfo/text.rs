//! The text of an `.SRCINFO`, line by line.

use super::field::Field;

/// Returns the lines that are neither empty nor comments, with their numbers from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Splits an assignment into key and value.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Splits a key into the field and the architecture suffix.
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
