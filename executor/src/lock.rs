//! Locks on folders: held by a process, freed by the kernel however it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PID: &str = "pid";
/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that belongs to this process.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Takes the lock and leaves a note whose it is; `None` while another process has it.
    pub(crate) fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let Some(lock) = Self::probe(folder)? else {
            return Ok(None);
        };
        fs_err::write(folder.join(PID), std::process::id().to_string())?;
        Ok(Some(lock))
    }

    /// The same, waiting for a holder that is about to end.
    pub(crate) fn enter(folder: &Path, patience: Duration) -> io::Result<Self> {
        match Self::wait(folder, patience)? {
            Some(lock) => {
                fs_err::write(folder.join(PID), std::process::id().to_string())?;
                Ok(lock)
            }
            None => Err(io::Error::other(format!(
                "{} is in use by another process",
                folder.display()
            ))),
        }
    }

    /// The same without the note, for whoever is about to remove the folder.
    pub(crate) fn probe(folder: &Path) -> io::Result<Option<Self>> {
        let file = fs_err::File::open(folder)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => {
                // The one before may have removed it; another one with its name is not locked.
                let there = fs_err::symlink_metadata(folder)?;
                let locked = file.metadata()?;
                if (there.dev(), there.ino()) != (locked.dev(), locked.ino()) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                Ok(Some(Self { _folder: file }))
            }
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits for the lock of a folder that is only ever held for moments.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let file = fs_err::File::open(folder)?.into_parts().0;
        file.lock()?;
        Ok(Self { _folder: file })
    }

    /// Takes the lock of a folder that shall be removed. Its holder may still be ending; when it does
    /// not within `patience`, it is killed.
    pub(crate) fn seize(folder: &Path, patience: Duration) -> io::Result<Self> {
        if let Some(lock) = Self::wait(folder, patience)? {
            return Ok(lock);
        }
        let pid = fs_err::read_to_string(folder.join(PID))?;
        let pid: i32 = pid.trim().parse().map_err(io::Error::other)?;
        if is_executor(pid) {
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        }
        Self::wait(folder, patience)?.ok_or_else(|| {
            io::Error::other(format!(
                "{} is still in use by process {pid}",
                folder.display()
            ))
        })
    }

    fn wait(folder: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(lock) = Self::probe(folder)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether a process is one of ours: the number could have been given away again.
fn is_executor(pid: i32) -> bool {
    let same = |link: &str| fs_err::read_link(format!("/proc/{link}/exe")).ok();
    let (own, other) = (same("self"), same(&pid.to_string()));
    pid > 1 && other.is_some() && own == other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_lock_to_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::try_take(folder.path()).unwrap().unwrap();
        assert!(FolderLock::try_take(folder.path()).unwrap().is_none());
        drop(lock);
        FolderLock::seize(folder.path(), Duration::ZERO).unwrap();
    }
}
