//! Protects the server's files from other users of the machine.
//!
//! A user who can open a file of the database can also lock it and so stop all writers, so the whole
//! folder is private, not only its secrets.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::Path;

use anyhow::Context as _;
use buildbtw_model::Explanation;
use rustix::fs::Mode;

/// The mode of folders: rwx for the server's user.
const FOLDER: u32 = 0o700;
/// The mode of files: rw for the server's user.
const FILE: u32 = 0o600;

/// Sets the umask, so that new files and folders are private.
pub fn restrict_new_files() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Creates the data folder if it does not exist, and makes it private with all its files; older versions
/// did not.
///
/// # Errors
/// When the folder cannot be created, or a file in it belongs to another user.
pub fn restrict_data_folder(data: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(data)
        .map_err(|error| {
            Explanation::with_hint(
                format!(
                    "cannot create the data folder `{}`: {error}",
                    data.display()
                ),
                "set --data-dir to a folder that the server's user can create or write",
            )
        })?;
    restrict(data, FOLDER)?;
    for entry in fs_err::read_dir(data)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let closed = if kind.is_file() {
            restrict(&entry.path(), FILE)
        } else if kind.is_dir() {
            restrict_tree(&entry.path())
        } else {
            Ok(())
        };
        match closed {
            // Another server may be shutting down, and SQLite removes its own files.
            Err(error) if is_not_found(&error) => {}
            closed => closed?,
        }
    }
    Ok(())
}

/// Makes a folder private with all its files. A folder that is already private is skipped.
fn restrict_tree(top: &Path) -> anyhow::Result<()> {
    if is_private(top, FOLDER)? {
        return Ok(());
    }
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                restrict(&entry.path(), FOLDER)?;
                folders.push(entry.path());
            } else if kind.is_file() {
                restrict(&entry.path(), FILE)?;
            }
        }
    }
    // Last, so that an interrupted run starts over.
    restrict(top, FOLDER)
}

/// Returns whether a file or folder belongs to this process's user or root, and is private.
fn is_private(path: &Path, mode: u32) -> anyhow::Result<bool> {
    let metadata = fs_err::metadata(path)?;
    // Root can open everything anyway.
    let owners = [0, rustix::process::geteuid().as_raw()];
    anyhow::ensure!(
        owners.contains(&metadata.uid()),
        Explanation::with_hint(
            format!("`{}` belongs to another user", path.display()),
            "its owner must be the user that the server runs as",
        )
    );
    Ok(metadata.permissions().mode() & 0o777 == mode)
}

fn restrict(path: &Path, mode: u32) -> anyhow::Result<()> {
    if is_private(path, mode)? {
        return Ok(());
    }
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode))
        .with_context(|| format!("cannot restrict the permissions of `{}`", path.display()))
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_private_data_folder_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        restrict_data_folder(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        // As left by an older version.
        let database = data.join("buildbtw.sqlite3");
        let logs = data.join("logs");
        let (log_folder, log) = (logs.join("1"), logs.join("1/log"));
        fs_err::create_dir_all(&log_folder).unwrap();
        let outside = folder.path().join("outside");
        for file in [&database, &log, &outside] {
            fs_err::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&outside, logs.join("link")).unwrap();
        let (files, folders) = ([&database, &log], [&data, &logs, &log_folder]);
        for path in folders {
            fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for path in files.into_iter().chain([&outside]) {
            fs_err::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        }
        restrict_data_folder(&data).unwrap();
        assert_eq!(folders.map(|path| mode(path)), [0o700; 3]);
        assert_eq!(files.map(|path| mode(path)), [0o600; 2]);
        assert_eq!(mode(&outside), 0o644);
    }

    #[test]
    fn rejects_data_folder_of_another_user() {
        /// The user `nobody`.
        const OTHER: u32 = 65_534;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        restrict_data_folder(&data).unwrap();
        let database = data.join("buildbtw.sqlite3");
        fs_err::write(&database, "").unwrap();
        fs_err::set_permissions(&database, PermissionsExt::from_mode(0o600)).unwrap();
        for path in [&database, &data] {
            if std::os::unix::fs::chown(path, Some(OTHER), None).is_err() {
                eprintln!("SKIPPED: only root can change the owner of files");
                return;
            }
            let refused = restrict_data_folder(&data).unwrap_err().to_string();
            assert!(refused.contains("another user"), "{refused}");
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
        }
    }
}
