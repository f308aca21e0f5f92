//! The names of a package's files, for the repository database.

use crate::PackageError;

/// The bytes of a list; the largest packages of distributions have some 10 MiB.
const MAX_LIST: usize = 64 << 20;
const HEADING: &str = "%FILES%\n";

/// Names in the order of the archive. They lie in one text, since a million of them in
/// strings of their own would cost more than their letters.
#[derive(Debug, Default)]
pub(crate) struct FileList {
    text: String,
    ends: Vec<usize>,
}

impl FileList {
    /// Adds a name.
    pub(crate) fn add(&mut self, name: &str, is_folder: bool) -> Result<(), PackageError> {
        let slash = usize::from(is_folder);
        if self.text.len() + self.ends.len() + name.len() + slash >= MAX_LIST {
            let why = format!("the names of its files are longer than {MAX_LIST} bytes");
            return Err(PackageError::Refused(why));
        }
        self.text.push_str(name);
        if is_folder {
            self.text.push('/');
        }
        self.ends.push(self.text.len());
        Ok(())
    }

    /// The `files` entry: sorted by bytes, each name once.
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
