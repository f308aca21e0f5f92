//! The temporary folder of a backup, beside its target, which gets the name of the target once it is complete.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use buildbtw_model::Explanation;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use super::{explanations, tree};

/// The name of such a folder, apart from `RANDOM` characters.
const PREFIX: &str = ".buildbtw-backup-";
const RANDOM: usize = 6;
/// How often the folder may be taken for a stale one before it is locked.
const TRIES: usize = 5;

/// A temporary folder beside the target. Dropping it removes it, unless it was renamed.
pub(super) struct TemporaryFolder {
    folder: TempDir,
    /// Says that the folder is in use. A lock ends with its process, whatever ended that. None where the file system
    /// has no locks of folders, such as NFS: there stale folders stay.
    _lock: Option<fs_err::File>,
}

impl TemporaryFolder {
    /// Creates one, after it has removed those of processes that have ended.
    ///
    /// # Errors
    /// When the folder of the target cannot be written.
    pub(super) fn new(parent: &Path, target: &Path) -> Result<Self, Explanation> {
        remove_stale(parent);
        for _ in 0..TRIES {
            let folder = create(parent, target)?;
            let opened = fs_err::File::open(folder.path());
            let lock = opened.ok().filter(|opened| opened.try_lock().is_ok());
            // Another backup may have locked and removed it first.
            if is_there(folder.path(), lock.as_ref()) {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
        Err(explanations::temporary_folder_removed(target))
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn create(parent: &Path, target: &Path) -> Result<TempDir, Explanation> {
    let created = tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(RANDOM)
        .tempdir_in(parent);
    created.map_err(|error| {
        // Without the name of the temporary folder.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let why = match error.kind() {
            io::ErrorKind::NotFound => format!("the folder `{}` does not exist", parent.display()),
            _ => cause.unwrap_or_else(|| error.to_string()),
        };
        explanations::not_writable(target, why)
    })
}

/// Returns whether a path still is the opened folder.
fn is_there(path: &Path, opened: Option<&fs_err::File>) -> bool {
    let Ok(found) = path.symlink_metadata() else {
        return false;
    };
    let Some(opened) = opened else {
        return true;
    };
    let identity = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    opened
        .metadata()
        .is_ok_and(|own| identity(&own) == identity(&found))
}

/// Removes folders that killed backups have left. Failures are logged: they do not matter for the new backup.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs_err::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if random.is_some_and(|random| random.len() == RANDOM)
            && let Err(error) = remove_if_stale(&entry.path())
        {
            tracing::warn!(
                path = %entry.path().display(),
                error = error.to_string(),
                "cannot remove what an interrupted backup has left"
            );
        }
    }
}

/// Removes a folder of this user that has nothing but files of a backup, and that no process has locked.
fn remove_if_stale(path: &Path) -> io::Result<()> {
    let metadata = fs_err::symlink_metadata(path)?;
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != own || tree::files(path).is_err() {
        return Ok(());
    }
    let opened = fs_err::File::open(path)?;
    if opened.try_lock().is_err() || !is_there(path, Some(&opened)) {
        return Ok(());
    }
    fs_err::remove_dir_all(path)
}

/// Renames a folder to a path that does not exist.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems do not support the flag. A plain rename replaces nothing but an empty folder.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(from, to),
        renamed => renamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_stale_folders_of_ended_processes_only() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let target = at("tue");
        let running = TemporaryFolder::new(parent.path(), &target).unwrap();
        let [stale, foreign] = ["abc123", "def456"].map(|end| at(&format!("{PREFIX}{end}")));
        fs_err::create_dir_all(stale.join("repos/a")).unwrap();
        fs_err::write(stale.join("repos/a/1"), "").unwrap();
        fs_err::create_dir_all(&foreign).unwrap();
        fs_err::write(foreign.join("thesis.txt"), "").unwrap();
        let kept = [at(&format!("{PREFIX}of-last-year")), at(".backup-abc123")];
        for folder in &kept {
            fs_err::create_dir(folder).unwrap();
        }
        let second = TemporaryFolder::new(parent.path(), &target).unwrap();
        assert!(!stale.exists());
        assert!(foreign.exists() && kept.iter().all(|folder| folder.exists()));
        assert!(running.path().exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
