//! Keeps what the server stores from the other users of its machine.
//!
//! Whoever may open the files of a database may also lock them, which stops everybody who writes: the folder is
//! closed, not only what is secret in it.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::Mode;

/// The mode of folders: rwx for the server's user.
const FOLDER: u32 = 0o700;
/// The mode of files: rw for the server's user.
const FILE: u32 = 0o600;

/// Closes every file and folder that this process makes from now on to other users.
pub fn close_new_files() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Makes the data folder if it is not there, and closes it and the files right below it, which older versions
/// left open.
///
/// # Errors
/// When it cannot be made, or belongs to another user.
pub fn close_data_folder(data: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(data)
        .with_context(|| format!("cannot make the data folder {}", data.display()))?;
    close(data, FOLDER)?;
    for entry in fs_err::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            match close(&entry.path(), FILE) {
                // Another server may be ending, and SQLite removes files of its own.
                Err(error) if is_gone(&error) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

fn close(path: &Path, mode: u32) -> anyhow::Result<()> {
    let permissions = fs_err::metadata(path)?.permissions();
    if permissions.mode() & 0o777 == mode {
        return Ok(());
    }
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).with_context(|| {
        format!(
            "cannot close {} to other users: it has to belong to the user that the server runs as",
            path.display()
        )
    })
}

fn is_gone(error: &anyhow::Error) -> bool {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_and_its_files_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        close_data_folder(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        // As an older version left them.
        let database = data.join("buildbtw.sqlite3");
        fs_err::write(&database, "").unwrap();
        for (path, open) in [(&data, 0o755), (&database, 0o644)] {
            fs_err::set_permissions(path, PermissionsExt::from_mode(open)).unwrap();
        }
        close_data_folder(&data).unwrap();
        assert_eq!((mode(&data), mode(&database)), (0o700, 0o600));
    }
}
