//! The files of a backup: which ones it has, and how they are copied.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use buildbtw_model::Explanation;

use crate::run::DATABASE_FILE;

use super::explanations;

/// The file that says that a backup is complete.
pub(super) const MANIFEST_FILE: &str = "backup.json";

/// The folders of a backup, below the same names as in the data folder.
const FOLDERS: [&str; 3] = ["logs", "repos", "uploads"];

/// The number and size of files; those that are stored once under several names count once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many files there are.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// Returns whether a backup may contain a file at this relative path.
pub(super) fn is_allowed(path: &Path) -> bool {
    let mut names = path.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let first = names.next().flatten();
    let rest: Vec<_> = names.collect();
    match first {
        Some(DATABASE_FILE | MANIFEST_FILE) => rest.is_empty(),
        Some(folder) if FOLDERS.contains(&folder) => {
            !rest.is_empty() && rest.iter().all(Option::is_some)
        }
        _ => false,
    }
}

/// Returns the files below a folder, relative to it and in order.
///
/// # Errors
/// When a folder cannot be read, or contains something that backups do not.
pub(super) fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(root.join(&folder))? {
            let entry = entry?;
            let (path, kind) = (folder.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            anyhow::ensure!(
                kind.is_file() && is_allowed(&path),
                explanations::foreign_file(&root.join(&path))
            );
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Finds files that are stored once under several names.
#[derive(Default)]
pub(super) struct SameFiles(HashMap<(u64, u64), PathBuf>);

impl SameFiles {
    /// Returns the name under which this file was seen first, or remembers it.
    pub(super) fn first(&mut self, path: &Path, metadata: &std::fs::Metadata) -> Option<PathBuf> {
        let inode = (metadata.dev(), metadata.ino());
        match self.0.entry(inode) {
            std::collections::hash_map::Entry::Occupied(known) => Some(known.get().clone()),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(path.to_owned());
                None
            }
        }
    }
}

/// Copies files from one folder into another one. What is stored once stays stored once. `rename` chooses the new
/// path of each; `check` is asked before each whether to continue.
///
/// # Errors
/// When a file cannot be read or written, or the check fails.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    paths: &[PathBuf],
    rename: impl Fn(&Path) -> PathBuf,
    check: impl Fn() -> Result<(), Explanation>,
) -> anyhow::Result<Totals> {
    let mut seen = SameFiles::default();
    let mut totals = Totals::default();
    for path in paths {
        check()?;
        let (source, target) = (from.join(path), to.join(rename(path)));
        create_parent(&target)?;
        let metadata = fs_err::metadata(&source)?;
        match seen.first(&target, &metadata) {
            Some(first) => fs_err::hard_link(first, &target)?,
            None => {
                fs_err::copy(&source, &target)?;
                restrict(&target)?;
                totals.files += 1;
                totals.bytes += metadata.len();
            }
        }
    }
    Ok(totals)
}

/// Creates the folder of a file.
pub(super) fn create_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs_err::create_dir_all(folder),
        None => Ok(()),
    }
}

/// Makes a file private: backups hold the hashes of tokens.
pub(super) fn restrict(path: &Path) -> io::Result<()> {
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

/// Makes everything on the file system of a folder durable.
///
/// # Errors
/// When the folder cannot be opened, or the disk fails.
pub(super) fn sync_all(folder: &Path) -> anyhow::Result<()> {
    let opened = fs_err::File::open(folder)?;
    rustix::fs::syncfs(opened.file())
        .map_err(|error| explanations::not_durable(folder, error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_only_paths_of_backups() {
        for path in [
            "buildbtw.sqlite3",
            "backup.json",
            "logs/1.log",
            "repos/a/1/x86_64/a-1-1-any.pkg.tar.zst",
            "uploads/1/a",
        ] {
            assert!(is_allowed(Path::new(path)), "{path}");
        }
        for path in [
            "",
            ".",
            "logs",
            "../logs/1.log",
            "/logs/1.log",
            "logs/../../x",
            "buildbtw.sqlite3/x",
            "admin-token",
            "lock",
        ] {
            assert!(!is_allowed(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn copies_files_with_several_names_once() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs_err::create_dir_all(from.join("repos/a")).unwrap();
        fs_err::write(from.join("repos/a/1"), "one").unwrap();
        fs_err::hard_link(from.join("repos/a/1"), from.join("repos/a/2")).unwrap();
        let paths = files(&from).unwrap();
        let totals = copy(&from, &to, &paths, Path::to_path_buf, || Ok(())).unwrap();
        assert_eq!(totals, Totals { files: 1, bytes: 3 });
        let inode = |name: &str| fs_err::metadata(to.join(name)).unwrap().ino();
        assert_eq!(inode("repos/a/1"), inode("repos/a/2"));
        let original = fs_err::metadata(from.join("repos/a/1")).unwrap();
        assert_ne!(inode("repos/a/1"), original.ino());
    }

    #[test]
    fn rejects_symbolic_links() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("logs")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("logs/1.log")).unwrap();
        let refused = files(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("logs/1.log"), "{refused}");
    }
}
