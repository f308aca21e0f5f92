//! Removes the folders of a job, in which scripts may have created anything.

use std::io;
use std::path::Path;

use buildbtw_builder::remove_folder;

/// Tries to remove a folder: the last processes may still write to it while they die.
const MAX_TRIES: u32 = 5;

/// Removes a folder, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // The target of a link does not belong to the job.
        Ok(metadata) if !metadata.is_dir() => return fs_err::remove_file(path),
        _ => {}
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match remove_folder(path) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::NotFound if path.symlink_metadata().is_err() => return Ok(()),
            _ if tries >= MAX_TRIES => return Err(error),
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound => {}
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn removes_closed_folders_and_links_without_their_targets() {
        let folder = tempfile::tempdir().unwrap();
        let job = folder.path().join("job");
        let inner = job.join("a/b");
        fs_err::create_dir_all(&inner).unwrap();
        fs_err::write(folder.path().join("kept"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), inner.join("link")).unwrap();
        fs_err::set_permissions(job.join("a"), std::fs::Permissions::from_mode(0o000)).unwrap();
        remove(&job).unwrap();
        remove(&job).unwrap();
        std::os::unix::fs::symlink(folder.path(), &job).unwrap();
        remove(&job).unwrap();
        assert!(!job.exists() && folder.path().join("kept").exists());
    }
}
