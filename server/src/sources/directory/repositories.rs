//! The directory source: every git repository, bare or not, directly below one folder.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Where git keeps a repository's refs.
pub(super) fn git_dir(repository: &Path) -> Option<PathBuf> {
    let inner = repository.join(".git");
    if exists_or_hidden(&inner.join("HEAD"), Metadata::is_file) {
        return Some(inner);
    }
    let bare = exists_or_hidden(&repository.join("HEAD"), Metadata::is_file)
        && exists_or_hidden(&repository.join("refs"), Metadata::is_dir);
    bare.then(|| repository.to_owned())
}

/// Whether there is something of a kind. What may not be looked at may be one: reading it says what is
/// wrong, while leaving it out would look as if it did not exist.
fn exists_or_hidden(path: &Path, is: impl FnOnce(&Metadata) -> bool) -> bool {
    match path.metadata() {
        Ok(metadata) => is(&metadata),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// The names of all repositories below `folder`, sorted.
pub(super) fn repositories(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text cannot be shown, stored or asked for.
        if let Ok(name) = entry.file_name().into_string()
            && git_dir(&entry.path()).is_some()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Folders directly below `folder` that are no repositories, but may become some.
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
