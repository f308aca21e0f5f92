//! Ranges of user ids. Each running sandbox of the whole machine has its own.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// The number of ids of a sandbox: 0 to 65535.
pub(crate) const RANGE: u32 = 65_536;
/// The maximum number of concurrent sandboxes on one machine.
const MAX_RANGES: u32 = 1024;
/// The folder for the locks of all programs that build on the host. Only root may open it: a user who
/// could open a lock could hold it, and stop all builds.
const LOCKS: &str = "/run/buildbtw-id-ranges";

/// A range of ids that no other program on the host uses during the lifetime of this value.
///
/// The kernel releases the lock of a file when its owner dies. The first range is never assigned; it belongs
/// to persistent roots.
#[derive(Debug)]
pub(crate) struct IdRange {
    _lock: RangeLock,
    first_uid: u32,
}

impl IdRange {
    /// Takes the first free range above `uid_base`.
    ///
    /// # Errors
    ///
    /// When there is no free range, or this process is not root.
    pub(crate) fn take(uid_base: u32) -> io::Result<Self> {
        let folder = Path::new(LOCKS);
        make_private(folder)?;
        for number in 1..MAX_RANGES {
            let Some(first_uid) = number
                .checked_mul(RANGE)
                .and_then(|offset| uid_base.checked_add(offset))
                .filter(|first| first.checked_add(RANGE).is_some())
            else {
                break;
            };
            let Some(lock) = lock(folder, first_uid, "")? else {
                continue;
            };
            // Processes of a build whose program was killed may still exist.
            if lock_in_use(folder, first_uid)?.is_some() {
                return Ok(Self {
                    _lock: lock,
                    first_uid,
                });
            }
        }
        Err(io::Error::other(format!(
            "no free range of user ids above {uid_base}"
        )))
    }

    pub(crate) fn first_uid(&self) -> u32 {
        self.first_uid
    }
}

/// The lock of a range. Dropping it unlocks the file: closing it is not enough while a child process holds a
/// copy of the descriptor between fork and exec.
#[derive(Debug)]
pub(crate) struct RangeLock(File);

impl Drop for RangeLock {
    fn drop(&mut self) {
        // On an error, closing the descriptor releases the lock.
        let _ = self.0.unlock();
    }
}

/// Marks a range as in use by processes during the lifetime of the value. Called by the process that starts
/// and outlives them, because the program that owns the range may be killed.
pub(crate) fn hold(first_uid: u32) -> io::Result<RangeLock> {
    lock_in_use(Path::new(LOCKS), first_uid)?
        .ok_or_else(|| io::Error::other(format!("the user ids from {first_uid} on are in use")))
}

fn lock_in_use(folder: &Path, first_uid: u32) -> io::Result<Option<RangeLock>> {
    lock(folder, first_uid, ".in-use")
}

/// Takes a lock of a range; returns `None` if another process holds it.
fn lock(folder: &Path, first_uid: u32, suffix: &str) -> io::Result<Option<RangeLock>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(folder.join(format!("{first_uid}{suffix}")))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(RangeLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Creates a folder that only root may open, or checks that it is one.
fn make_private(folder: &Path) -> io::Result<()> {
    let failed = |text: String| io::Error::other(format!("{}: {text}", folder.display()));
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed(format!(
                "cannot create the folder for locks of id ranges: {error}"
            )));
        }
        _ => {}
    }
    let metadata = folder.symlink_metadata()?;
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o077 != 0 {
        return Err(failed(
            "the folder for locks of id ranges must belong to root and have mode 0700".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_root() -> bool {
        nix::unistd::geteuid().is_root()
    }

    #[test]
    fn rejects_lock_folders_that_other_users_may_open() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("locks");
        make_private(&folder).unwrap_or_else(|error| assert!(!is_root(), "{error}"));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&folder, open).unwrap();
        assert!(make_private(&folder).is_err());
        fs_err::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(place.path(), &folder).unwrap();
        assert!(make_private(&folder).is_err());
    }

    #[test]
    fn allocates_disjoint_id_ranges() {
        if !is_root() {
            println!("skipped: needs root");
            return;
        }
        // A range only this test uses, independent of real builds on the host.
        let base = 3_000_000_000;
        let first = IdRange::take(base).unwrap();
        let second = IdRange::take(base).unwrap();
        assert!(first.first_uid() > base);
        assert_eq!(first.first_uid() + RANGE, second.first_uid());
        let freed = first.first_uid();
        drop(first);
        assert_eq!(IdRange::take(base).unwrap().first_uid(), freed);
    }

    #[test]
    fn keeps_id_range_reserved_until_its_processes_end() {
        if !is_root() {
            println!("skipped: needs root");
            return;
        }
        let base = 3_100_000_000;
        let range = IdRange::take(base).unwrap();
        let first = range.first_uid();
        let held = hold(first).unwrap();
        // As after the death of its program.
        drop(range);
        assert_eq!(IdRange::take(base).unwrap().first_uid(), first + RANGE);
        assert!(hold(first).is_err());
        drop(held);
        assert_eq!(IdRange::take(base).unwrap().first_uid(), first);
    }

    #[test]
    fn does_not_overflow_ids() {
        assert!(IdRange::take(u32::MAX - RANGE).is_err());
    }
}
