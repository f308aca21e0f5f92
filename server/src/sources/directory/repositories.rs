//! Finds the git repositories directly below a folder.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the folder with a repository's refs, if it is a repository.
pub(super) fn git_dir(repository: &Path) -> Option<PathBuf> {
    let inner = repository.join(".git");
    if exists_or_is_unreadable(&inner.join("HEAD"), Metadata::is_file) {
        return Some(inner);
    }
    let bare = exists_or_is_unreadable(&repository.join("HEAD"), Metadata::is_file)
        && exists_or_is_unreadable(&repository.join("refs"), Metadata::is_dir);
    bare.then(|| repository.to_owned())
}

/// Returns whether a path has an expected type, or may have it: an inaccessible path is reported when it is read, while
/// leaving it out would hide it.
fn exists_or_is_unreadable(path: &Path, is: impl FnOnce(&Metadata) -> bool) -> bool {
    match path.metadata() {
        Ok(metadata) => is(&metadata),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Returns the names of all repositories below `folder`, sorted.
pub(super) fn repositories(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // Names that are not UTF-8 cannot be shown, stored or requested.
        if let Ok(name) = entry.file_name().into_string()
            && git_dir(&entry.path()).is_some()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the folders directly below `folder` that are not repositories yet.
pub(super) fn candidate_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && git_dir(&path).is_none() {
            folders.push(path);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_only_bare_and_ordinary_repositories() {
        let folder = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let status = std::process::Command::new("git")
                .args(args)
                .current_dir(folder.path())
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert!(status.success());
        };
        git(&["init", "--quiet", "ordinary"]);
        git(&["init", "--quiet", "--bare", "bare.git"]);
        fs_err::create_dir(folder.path().join("neither")).unwrap();
        assert_eq!(
            repositories(folder.path()).unwrap(),
            ["bare.git", "ordinary"]
        );
        assert!(
            git_dir(&folder.path().join("ordinary"))
                .unwrap()
                .ends_with(".git")
        );
    }
}
