//! Writes package files that pacman can install, for simulated builds and tests.

use std::collections::BTreeSet;
use std::io;

/// The compression level: the packages are small or incompressible.
const LEVEL: i32 = 1;

/// A package that is being written.
pub struct PackageWriter {
    archive: tar::Builder<Vec<u8>>,
    /// The modification time of all members.
    time: u64,
    folders: BTreeSet<String>,
}

impl PackageWriter {
    /// Creates an empty package. `time` is the modification time of its files, in seconds since 1970.
    #[must_use]
    pub fn new(time: u64) -> Self {
        Self {
            archive: tar::Builder::new(Vec::new()),
            time,
            folders: BTreeSet::new(),
        }
    }

    /// Adds a file and its parent folders. Metadata (`.PKGINFO` and others) must be added first.
    ///
    /// # Errors
    /// When an archive cannot hold the path.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..=end).unwrap_or_default();
            if self.folders.insert(folder.to_owned()) {
                let mut header = self.header(tar::EntryType::Directory, 0o755, 0);
                self.archive.append_data(&mut header, folder, io::empty())?;
            }
        }
        let mut header = self.header(tar::EntryType::Regular, 0o644, content.len() as u64);
        self.archive.append_data(&mut header, path, content)
    }

    /// Returns the package, compressed with Zstandard.
    ///
    /// # Errors
    /// When compressing fails.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        zstd::bulk::compress(&self.archive.into_inner()?, LEVEL)
    }

    fn header(&self, kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(self.time);
        header
    }
}
