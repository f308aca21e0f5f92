//! A cache of rendered databases on disk, by their tag. A slow reader keeps a file open instead of memory, and
//! repeated requests cost nothing.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use buildbtw_model::Sha256Digest;

/// The limits of the cache. The oldest files are removed first; open ones stay readable.
const MAX_BYTES: u64 = 512 << 20;
const MAX_FILES: usize = 1_000;

/// A folder of rendered databases. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RenderedDatabases {
    folder: PathBuf,
    pruning: Arc<Mutex<()>>,
}

impl RenderedDatabases {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            pruning: Arc::default(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn find(&self, tag: &Sha256Digest) -> Option<PathBuf> {
        let path = self.folder.join(tag.to_string());
        path.is_file().then_some(path)
    }

    pub(super) fn keep(&self, tag: &Sha256Digest, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder.join(tag.to_string());
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(content)?;
        file.persist(&path)?;
        self.prune(MAX_BYTES, MAX_FILES)?;
        Ok(path)
    }

    /// Removes the oldest files until the rest is within the limits. The newest file stays in any case.
    fn prune(&self, max_bytes: u64, max_files: usize) -> io::Result<()> {
        let _alone = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let entry = entry?;
            // A concurrent `keep` may replace a file at this moment.
            if let Ok(metadata) = entry.metadata() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0_u64;
        for (number, (_, size, path)) in files.into_iter().enumerate() {
            bytes = bytes.saturating_add(size);
            let is_too_much = bytes > max_bytes || number >= max_files;
            if number > 0 && is_too_much {
                match fs_err::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn evicts_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let rendered = RenderedDatabases::new(folder.path().to_owned());
        let tags = [1, 2, 3].map(|number| Sha256Digest::from_bytes(&[number; 32]));
        for (age, tag) in (1..).zip(&tags) {
            let path = rendered.keep(tag, &[0; 10]).unwrap();
            let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
            let modified = SystemTime::now() - Duration::from_secs(10 - age);
            file.file().set_modified(modified).unwrap();
        }
        let there =
            |rendered: &RenderedDatabases| tags.each_ref().map(|tag| rendered.find(tag).is_some());
        assert_eq!(there(&rendered), [true; 3]);
        rendered.prune(25, 10).unwrap();
        assert_eq!(there(&rendered), [false, true, true]);
        rendered.prune(25, 1).unwrap();
        assert_eq!(there(&rendered), [false, false, true]);
        rendered.prune(5, 10).unwrap();
        assert_eq!(there(&rendered), [false, false, true]);
    }
}
