//! The space of a file system.

use std::io;
use std::path::Path;

/// The space of the file system that holds a file or folder, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this user can still use.
    pub available: u64,
}

/// Returns the space of the file system that holds a path.
///
/// # Errors
/// When the path does not exist or cannot be read.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    Ok(Space {
        total: found.f_blocks.saturating_mul(found.f_frsize),
        available: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_space_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let found = space(folder.path()).unwrap();
        assert!(found.total >= found.available && found.total > 0);
        assert!(space(&folder.path().join("nowhere")).is_err());
    }
}
