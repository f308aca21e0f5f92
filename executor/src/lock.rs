//! Locks on folders: held by a process, released by the kernel however the process ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PID: &str = "pid";
/// The pause between two tries to take a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that this process has locked.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Takes the lock and records this process as its holder. Returns `None` while another process has it.
    pub(crate) fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let Some(lock) = Self::probe(folder)? else {
            return Ok(None);
        };
        fs_err::write(folder.join(PID), std::process::id().to_string())?;
        Ok(Some(lock))
    }

    /// Takes the lock like [`Self::try_take`], waiting up to `timeout` for a holder that is about to end.
    pub(crate) fn take_within(folder: &Path, timeout: Duration) -> io::Result<Self> {
        match Self::wait(folder, timeout)? {
            Some(lock) => {
                fs_err::write(folder.join(PID), std::process::id().to_string())?;
                Ok(lock)
            }
            None => Err(io::Error::other(format!(
                "`{}` is in use by another process",
                folder.display()
            ))),
        }
    }

    /// Takes the lock without recording the holder, to remove the folder. Returns `None` while another process has it.
    pub(crate) fn probe(folder: &Path) -> io::Result<Option<Self>> {
        let file = fs_err::File::open(folder)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => {
                // The previous holder may have removed the folder; a new one of the same name is not locked by this.
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

    /// Waits for a lock that is only held briefly, without a timeout.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let file = fs_err::File::open(folder)?.into_parts().0;
        file.lock()?;
        Ok(Self { _folder: file })
    }

    /// Takes the lock of a folder that is going to be removed. A holder that has not ended within `timeout` is
    /// killed.
    pub(crate) fn seize(folder: &Path, timeout: Duration) -> io::Result<Self> {
        if let Some(lock) = Self::wait(folder, timeout)? {
            return Ok(lock);
        }
        let pid = fs_err::read_to_string(folder.join(PID))?;
        let pid: i32 = pid.trim().parse().map_err(io::Error::other)?;
        if is_executor(pid) {
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        }
        Self::wait(folder, timeout)?.ok_or_else(|| {
            io::Error::other(format!(
                "`{}` is still in use by process {pid}",
                folder.display()
            ))
        })
    }

    fn wait(folder: &Path, timeout: Duration) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + timeout;
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

/// Returns whether a process runs this program: its number could have been reused.
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
