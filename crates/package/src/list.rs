//! The file list of a package, for the repository database.

use std::fmt::Write as _;

use crate::error::PackageError;

/// The largest list, in bytes; the largest packages of distributions have about 10 MiB.
const MAX_LIST: usize = 64 << 20;
const HEADING: &str = "%FILES%\n";

/// The names in the order of the archive. They are stored in one string, because the overhead of a million strings
/// would exceed their content.
#[derive(Debug, Default)]
pub(crate) struct FileList {
    text: String,
    ends: Vec<usize>,
}

impl FileList {
    /// Adds a name.
    pub(crate) fn add(&mut self, name: &[u8], is_folder: bool) -> Result<(), PackageError> {
        escape(name, &mut self.text);
        if is_folder {
            self.text.push('/');
        }
        self.ends.push(self.text.len());
        if self.text.len() + self.ends.len() > MAX_LIST {
            return Err(too_long());
        }
        Ok(())
    }

    /// Returns the `files` entry, sorted by bytes and without duplicates.
    pub(crate) fn into_entry(self) -> String {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut names: Vec<&str> = starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.text.get(start..*end))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut entry = String::with_capacity(HEADING.len() + self.text.len() + self.ends.len());
        entry.push_str(HEADING);
        for name in names {
            entry.push_str(name);
            entry.push('\n');
        }
        entry
    }
}

/// Creates the refusal of a package with too many or too long names.
pub(crate) fn too_long() -> PackageError {
    PackageError::Refused(format!(
        "the list of its files is longer than {MAX_LIST} bytes"
    ))
}

/// Appends a name as bsdtar(1), and with it repo-add(8), lists it in a UTF-8 locale: invalid bytes as three octal
/// digits.
fn escape(name: &[u8], text: &mut String) {
    for part in name.utf8_chunks() {
        for character in part.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                // Separators of lines and paragraphs are not printable.
                '\u{2028}' | '\u{2029}' => {
                    octal(character.encode_utf8(&mut [0; 4]).as_bytes(), text);
                }
                _ => text.push(character),
            }
        }
        octal(part.invalid(), text);
    }
}

fn octal(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_names_like_repo_add() {
        let mut list = FileList::default();
        for name in [
            &b"usr/\xff\xfe x"[..],
            b"usr/caf\xe9",
            "usr/é".as_bytes(),
            b"usr/a\\x2db",
            "usr/\u{2028}".as_bytes(),
            b"usr/caf\xe9",
        ] {
            list.add(name, false).unwrap();
        }
        list.add(b"usr/d\xe9", true).unwrap();
        assert_eq!(
            list.into_entry(),
            "%FILES%\nusr/\\342\\200\\250\nusr/\\377\\376 x\nusr/a\\\\x2db\nusr/caf\\351\nusr/d\\351/\nusr/é\n"
        );
    }
}
