//! Where backups may be: outside of the data folder, whose other files the server and `check --repair` remove.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::explanations;

/// Identifies a folder whatever its path is: the path may have symbolic links, or be that of a bind mount.
type Identity = (u64, u64);

/// Checks that a new path is not inside the data folder.
///
/// # Errors
/// When it is, or a folder cannot be read.
pub(super) fn ensure_outside(data: &Path, target: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !is_below(target, &folders(data)?)?,
        explanations::target_in_data(target, data)
    );
    Ok(())
}

/// Checks that neither of a backup and the data folder for it is inside the other one.
///
/// # Errors
/// When one is, or a folder cannot be read.
pub(super) fn ensure_apart(data: &Path, source: &Path) -> anyhow::Result<()> {
    if data.try_exists()? {
        anyhow::ensure!(
            !is_below(source, &folders(data)?)?,
            explanations::source_in_data(source, data)
        );
    }
    anyhow::ensure!(
        !is_below(data, &[identity(source)?])?,
        explanations::data_in_source(data, source)
    );
    Ok(())
}

/// Returns the data folder and the folders in it, which may be links to other disks.
fn folders(data: &Path) -> io::Result<Vec<Identity>> {
    let mut found = vec![identity(data)?];
    for entry in fs_err::read_dir(data)? {
        match fs_err::metadata(entry?.path()) {
            Ok(metadata) if metadata.is_dir() => found.push((metadata.dev(), metadata.ino())),
            // Files of SQLite come and go.
            _ => {}
        }
    }
    Ok(found)
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs_err::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Returns whether a path, which might not exist, is one of these folders or inside one.
fn is_below(path: &Path, folders: &[Identity]) -> io::Result<bool> {
    for folder in existing(path)?.ancestors() {
        if folders.contains(&identity(folder)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the part of a path that exists, without links.
fn existing(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let exists = path.ancestors().find(|folder| folder.exists());
    fs_err::canonicalize(exists.unwrap_or(Path::new("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_targets_in_the_data_folder_by_any_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["data/repos/first", "disk/logs", "elsewhere"] {
            fs_err::create_dir_all(at(path)).unwrap();
        }
        for (target, link) in [
            (at("data"), at("link")),
            (at("data/repos"), at("elsewhere/repos")),
            (at("disk/logs"), at("data/logs")),
        ] {
            std::os::unix::fs::symlink(target, link).unwrap();
        }
        for inside in [
            "data/tue",
            "data/repos/first/mine",
            "data/nowhere/mine",
            "link/tue",
            "elsewhere/repos/tue",
            "elsewhere/../data/tue",
            "disk/logs/tue",
        ] {
            for data in ["data", "link"] {
                let refused = ensure_outside(&at(data), &at(inside)).unwrap_err();
                let text = refused.to_string();
                assert!(text.contains("is inside the data folder"), "{text}");
            }
        }
        for outside in ["tue", "elsewhere/tue", "disk/tue", "data/../tue", "data-2"] {
            ensure_outside(&at("data"), &at(outside)).unwrap();
        }
    }

    #[test]
    fn keeps_backup_and_restored_folder_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs_err::create_dir_all(at("data/repos/old")).unwrap();
        fs_err::create_dir_all(at("backup/repos")).unwrap();
        fs_err::write(at("data/repos/old.tar"), "").unwrap();
        for (data, source) in [
            ("data", "data/repos/old"),
            ("data", "data/repos/old.tar"),
            ("backup/new", "backup"),
            ("backup", "backup"),
        ] {
            let refused = ensure_apart(&at(data), &at(source)).unwrap_err();
            assert!(refused.to_string().contains("is inside"), "{refused}");
        }
        ensure_apart(&at("new"), &at("backup")).unwrap();
        ensure_apart(&at("data"), &at("backup")).unwrap();
    }
}
