//! The state that the first of two runs of makepkg passes to the second one, besides files: makepkg usually
//! runs all functions of a PKGBUILD in one shell. The package's code can write this state as well, and then
//! only runs its own code again.

use std::path::{Path, PathBuf};

use super::super::root::Root;
use crate::failure::Failure;
use crate::sandbox::helper::files::make_dir;
use crate::source::read_regular;

/// The path at which the hook finds it.
pub(super) const PATH: &str = "/run/buildbtw/first";
/// A version has a few dozen characters.
const MAX_PKGVER_BYTES: u64 = 1 << 12;
/// `prepare()` sets a few variables; larger output is ignored.
const MAX_VARIABLES_BYTES: u64 = 1 << 20;

/// The state after a first run.
#[derive(Debug, Default)]
pub(in crate::sandbox::helper) struct FirstRun {
    /// The output of `pkgver()`.
    pub(in crate::sandbox::helper) pkgver: Option<String>,
    /// Statements that set variables.
    variables: Vec<u8>,
}

impl FirstRun {
    /// Reads the state from the notes of the first run.
    pub(super) fn read(notes: &Path) -> Self {
        let read = |name: &str, most: u64| {
            let text = read_regular(&notes.join(name), most).unwrap_or_default();
            Some(text).filter(|text| !text.is_empty() && (text.len() as u64) < most)
        };
        let pkgver = read("pkgver", MAX_PKGVER_BYTES);
        Self {
            pkgver: pkgver.map(|pkgver| String::from_utf8_lossy(&pkgver).into_owned()),
            variables: read("variables", MAX_VARIABLES_BYTES).unwrap_or_default(),
        }
    }

    /// Writes the state into a folder, for the second run.
    pub(super) fn write(&self, root: &Root) -> Result<PathBuf, Failure> {
        let folder = root.scratch.join("first-run");
        make_dir(&folder, 0o755)?;
        if let Some(pkgver) = &self.pkgver {
            fs_err::write(folder.join("pkgver"), pkgver)?;
        }
        if !self.variables.is_empty() {
            fs_err::write(folder.join("variables"), &self.variables)?;
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_result_files_that_are_links_or_too_large() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FirstRun::read(folder.path()).pkgver, None);
        let note = folder.path().join("pkgver");
        std::os::unix::fs::symlink("/etc/passwd", &note).unwrap();
        assert_eq!(FirstRun::read(folder.path()).pkgver, None);
        fs_err::remove_file(&note).unwrap();
        fs_err::write(&note, "r2").unwrap();
        fs_err::write(folder.path().join("variables"), "x".repeat(2 << 20)).unwrap();
        let first = FirstRun::read(folder.path());
        assert_eq!(first.pkgver.as_deref(), Some("r2"));
        assert!(first.variables.is_empty());
    }
}
