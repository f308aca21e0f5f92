//! The folder of one attempt on the host: the state that must be found again when its program is killed.
//! The sandbox itself is in the helper's mount namespace, on a disk whose image has no name, and needs no
//! cleanup.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::cgroup::Cgroup;
use crate::removal::remove_folder;
use crate::request::Limits;

const LOCK: &str = "lock";
const CGROUP: &str = "cgroup";
const REPORT: &str = "report.json";

/// The scratch folder of one attempt, locked during the lifetime of this value.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    cgroup: Option<Cgroup>,
    lock: File,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Closing it is not enough: a process that another thread is starting still has a copy.
        let _ = self.lock.unlock();
    }
}

impl Scratch {
    /// Creates the folder and the cgroup that it records.
    pub(crate) fn create(root: &Path, name: &str, limits: Option<&Limits>) -> io::Result<Self> {
        let mut scratch = Self::begin(root, name, limits.is_some())?;
        let cgroup = |limits| Cgroup::create(&cgroup_name(name), limits);
        scratch.cgroup = limits.and_then(cgroup);
        Ok(scratch)
    }

    /// Creates the folder, and records the possible folders of the cgroup: the process may be killed while it
    /// creates the cgroup.
    fn begin(root: &Path, name: &str, has_cgroup: bool) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let folder = root.join(name);
        fs::create_dir(&folder)?;
        let lock = fs::File::create(folder.join(LOCK))?.into_parts().0;
        lock.lock()?;
        if has_cgroup {
            let folders: Vec<String> = Cgroup::candidates(&cgroup_name(name))
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            fs::write(folder.join(CGROUP), folders.join("\n"))?;
        }
        Ok(Self {
            folder,
            cgroup: None,
            lock,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.folder.join(REPORT)
    }

    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Removes the cgroup, then the folder.
    pub(crate) async fn remove(self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove().await?;
        }
        remove_folder(&self.folder)
    }
}

fn cgroup_name(name: &str) -> String {
    format!("buildbtw-{name}")
}

/// Removes the folders and cgroups that builds left below `scratch_root` when their program was killed.
/// Attempts that are still running in any process are skipped. Returns the number of removed attempts.
///
/// # Errors
///
/// When something cannot be removed, or a file system is mounted below it.
pub async fn reap(scratch_root: &Path) -> io::Result<usize> {
    let mut reaped = 0;
    let entries = match fs::read_dir(scratch_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let folder = entry?.path();
        // Skips folders that no builder created.
        let Ok(lock) = fs::File::open(folder.join(LOCK)) else {
            continue;
        };
        if lock.into_parts().0.try_lock().is_err() {
            continue;
        }
        let folders = fs::read_to_string(folder.join(CGROUP)).unwrap_or_default();
        let folders = folders.lines().map(PathBuf::from).collect();
        Cgroup::from_folders(folders).remove().await?;
        remove_folder(&folder)?;
        reaped += 1;
    }
    Ok(reaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reaps_cgroup_whose_creator_was_killed_during_creation() {
        let root = tempfile::tempdir().unwrap();
        let name = format!("test-{}", std::process::id());
        let scratch = Scratch::begin(root.path(), &name, true).unwrap();
        // Nothing to test where the host does not allow creating cgroups.
        let cgroup = Cgroup::create(&cgroup_name(&name), &Limits::default());
        let files = cgroup.map(|cgroup| cgroup.procs());
        drop(scratch);
        assert_eq!(reap(root.path()).await.unwrap(), 1);
        for file in files.unwrap_or_default() {
            assert!(!file.exists(), "{}", file.display());
        }
    }

    #[tokio::test]
    async fn reaps_only_abandoned_folders() {
        let root = tempfile::tempdir().unwrap();
        let alive = Scratch::create(root.path(), "alive", None).unwrap();
        drop(Scratch::create(root.path(), "dead", None).unwrap());
        fs::create_dir(root.path().join("foreign")).unwrap();
        assert_eq!(reap(root.path()).await.unwrap(), 1);
        assert!(!root.path().join("dead").exists());
        assert!(root.path().join("alive").exists());
        assert!(root.path().join("foreign").exists());
        alive.remove().await.unwrap();
        assert!(!root.path().join("alive").exists());
    }
}
