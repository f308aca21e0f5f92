//! The disk limit of scripts. What they write has to stay where it is for the next stage, for the runner and for a front
//! that is not root, so there is no disk of a given size to mount: their folders are measured while they run, and rlimits
//! bound each file (see `Confinement`).

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statvfs::statvfs;

use super::removed::RemovedFiles;

/// How long the folders are left alone after each measurement, in times of what that took: at most 5 % of a processor.
const REST: u32 = 20;
const SHORTEST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// What a file costs beside its content: empty ones fill a disk, too.
const BYTES_PER_FILE: u64 = 512;
/// Files with several names that are counted once. More of them count with each name.
const MOST_LINKED: usize = 1_000_000;

/// So many measurements in a row may end early before the file system counts in their place.
const MOST_EARLY: u32 = 3;
/// Of a file system with less than this part left, what a script may have written without a trace counts.
const SCARCE: u64 = 10;

/// Measures the folders of a job while one of its scripts runs.
pub(super) struct DiskWatch {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Option<Excess>>,
}

/// How a limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// The folders hold that much.
    Folders,
    /// So many bytes of the file system are gone since the script began, and the folders do not tell by whom.
    FileSystem(u64),
}

/// What there is of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Space {
    free: u64,
    all: u64,
}

impl Space {
    fn of(folder: &Path) -> Option<Self> {
        let found = statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        Some(Self {
            free: bytes(found.blocks_available()),
            all: bytes(found.blocks()),
        })
    }
}

impl DiskWatch {
    /// Calls `exceeded` once, as soon as the folders and what was removed from them hold `limit` bytes, or the file
    /// system has lost as many and the folders cannot be measured or it is about to be full.
    pub(super) fn start(
        folders: Vec<PathBuf>,
        removed: Option<RemovedFiles>,
        limit: u64,
        exceeded: impl FnOnce() + Send + 'static,
    ) -> Self {
        let place = folders.first().cloned();
        let space = move || place.as_deref().and_then(Space::of);
        let limit = Limit {
            removed,
            ..Limit::new(folders, limit, space)
        };
        Self::start_with(limit, exceeded)
    }

    fn start_with(
        mut limit: Limit<impl Fn() -> Option<Space> + Send + 'static>,
        exceeded: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            loop {
                let began = Instant::now();
                if let Some(excess) = limit.check() {
                    exceeded();
                    return Some(excess);
                }
                let rest = (began.elapsed() * REST).clamp(SHORTEST_REST, LONGEST_REST);
                if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                    return limit.check();
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends it after a last measurement. Returns whether the limit was reached, and how.
    pub(super) fn end(self) -> Option<Excess> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

/// A limit, and what was seen of the folders that it is for.
struct Limit<F> {
    folders: Vec<PathBuf>,
    removed: Option<RemovedFiles>,
    limit: u64,
    space: F,
    /// What was free before the script began.
    before: Option<u64>,
    /// How many measurements in a row ended early.
    early: u32,
}

impl<F: Fn() -> Option<Space>> Limit<F> {
    fn new(folders: Vec<PathBuf>, limit: u64, space: F) -> Self {
        let before = space().map(|space| space.free);
        Self {
            folders,
            removed: None,
            limit,
            space,
            before,
            early: 0,
        }
    }

    fn check(&mut self) -> Option<Excess> {
        let mut measured = Measured::new(self.limit);
        // Before the folders: what is removed meanwhile does not count twice.
        let removed = self.removed.as_ref();
        measured.bytes = removed.map_or(0, |removed| removed.bytes(&self.folders));
        for folder in &self.folders {
            // What cannot be read now may be gone; the rest counts.
            measured.ended_early |= measured.add(folder).is_err();
        }
        if measured.is_reached() {
            return Some(Excess::Folders);
        }
        self.early = match measured.ended_early {
            true => self.early.saturating_add(1),
            false => 0,
        };
        self.verdict(measured.was_denied)
    }

    /// What the file system tells. Others write to it, too: that counts only where the folders do not tell.
    fn verdict(&self, was_denied: bool) -> Option<Excess> {
        let now = (self.space)()?;
        let lost = self.before?.saturating_sub(now.free);
        let is_unknown = was_denied || self.early >= MOST_EARLY;
        let is_scarce = now.free < now.all / SCARCE;
        (lost >= self.limit && (is_unknown || is_scarce)).then_some(Excess::FileSystem(lost))
    }
}

/// What was found so far.
struct Measured {
    bytes: u64,
    limit: u64,
    linked: HashSet<(u64, u64)>,
    /// A folder may not be looked into.
    was_denied: bool,
    /// Folders were moved, so that not all were found.
    ended_early: bool,
}

/// A folder on the way down.
struct Level {
    id: (u64, u64),
    /// The folders in it that were not visited yet.
    left: Vec<CString>,
}

impl Measured {
    fn new(limit: u64) -> Self {
        Self {
            bytes: 0,
            limit,
            linked: HashSet::new(),
            was_denied: false,
            ended_early: false,
        }
    }

    fn is_reached(&self) -> bool {
        self.bytes >= self.limit
    }

    /// Adds a folder and everything below it, however deep: one descriptor at a time, no link is followed. Ends early when
    /// folders are moved meanwhile; the next measurement finds them again.
    fn add(&mut self, top: &Path) -> nix::Result<()> {
        let mut current = open(AT_FDCWD, top)?;
        let device = fstat(&current)?.st_dev;
        let mut levels = vec![self.level(&current)?];
        while let Some(level) = levels.last_mut() {
            if self.is_reached() {
                return Ok(());
            }
            if let Some(name) = level.left.pop() {
                let inner = match open(&current, name.as_c_str()) {
                    Ok(inner) => inner,
                    Err(error) => {
                        self.was_denied |= error == Errno::EACCES;
                        continue;
                    }
                };
                if fstat(&inner)?.st_dev == device {
                    levels.push(self.level(&inner)?);
                    current = inner;
                }
                continue;
            }
            levels.pop();
            let Some(above) = levels.last() else {
                break;
            };
            let parent = open(&current, "..")?;
            if id(&fstat(&parent)?) != above.id {
                self.ended_early = true;
                break;
            }
            current = parent;
        }
        Ok(())
    }

    /// Counts what is in a folder.
    fn level(&mut self, folder: &OwnedFd) -> nix::Result<Level> {
        let mut left = Vec::new();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        for entry in Dir::openat(folder, ".", flags, Mode::empty())?.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            if is_folder(&stat) {
                left.push(name.to_owned());
            }
            self.count(&stat);
        }
        let id = id(&fstat(folder)?);
        Ok(Level { id, left })
    }

    fn count(&mut self, stat: &FileStat) {
        let has_names = !is_folder(stat) && stat.st_nlink > 1;
        if has_names && self.linked.len() < MOST_LINKED && !self.linked.insert(id(stat)) {
            return;
        }
        let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
        self.bytes = self
            .bytes
            .saturating_add(blocks.saturating_mul(512))
            .saturating_add(BYTES_PER_FILE);
    }
}

fn id(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn is_folder(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

fn open<P: ?Sized + NixPath>(parent: impl std::os::fd::AsFd, name: &P) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(folder: &Path) -> u64 {
        let mut measured = Measured::new(u64::MAX);
        measured.add(folder).unwrap();
        measured.bytes
    }

    #[test]
    fn counts_what_takes_space_once_and_follows_no_link() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        fs_err::create_dir_all(folder.join("a/b")).unwrap();
        fs_err::write(place.path().join("other"), vec![1; 1 << 20]).unwrap();
        let empty = measured(&folder);
        fs_err::write(folder.join("a/b/file"), vec![1; 64 << 10]).unwrap();
        let one = measured(&folder);
        assert!(one >= empty + (64 << 10), "{one} {empty}");
        fs_err::hard_link(folder.join("a/b/file"), folder.join("a/again")).unwrap();
        std::os::unix::fs::symlink(place.path().join("other"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(place.path(), folder.join("a/up")).unwrap();
        assert!(measured(&folder) < one + (64 << 10));
        for number in 0..100 {
            fs_err::write(folder.join(format!("empty-{number}")), "").unwrap();
        }
        assert!(measured(&folder) >= one + 100 * BYTES_PER_FILE);
    }

    /// Deeper than a path may be long.
    #[test]
    fn folders_are_measured_however_deep_they_are() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        fs_err::create_dir(&folder).unwrap();
        let mut deepest = open(AT_FDCWD, &folder).unwrap();
        for _ in 0..3_000 {
            nix::sys::stat::mkdirat(&deepest, "d", Mode::S_IRWXU).unwrap();
            deepest = open(&deepest, "d").unwrap();
        }
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = openat(&deepest, "file", flags, Mode::S_IRUSR).unwrap();
        std::io::Write::write_all(&mut std::fs::File::from(file), &[1; 100_000]).unwrap();
        assert!(measured(&folder) > 100_000 + 3_000 * BYTES_PER_FILE);
        buildbtw_builder::remove_folder(&folder).unwrap();
    }

    /// Others write to the file system meanwhile, and it may be nearly full: this one stays as it is.
    fn watch(folder: &Path, limit: u64, exceeded: impl FnOnce() + Send + 'static) -> DiskWatch {
        let space = || Some(Space { free: 50, all: 100 });
        let limit = Limit::new(vec![folder.to_owned()], limit, space);
        DiskWatch::start_with(limit, exceeded)
    }

    #[test]
    fn the_limit_is_noticed_while_a_script_runs_and_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::channel();
        let running = watch(folder.path(), 1 << 20, move || tell.send(()).unwrap());
        fs_err::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
        told.recv().unwrap();
        assert_eq!(running.end(), Some(Excess::Folders));
        let again = watch(folder.path(), 1 << 20, || {});
        assert_eq!(again.end(), Some(Excess::Folders));
        assert_eq!(watch(folder.path(), 2 << 20, || {}).end(), None);
    }

    /// Files in folders that the front cannot read count only as used space of the file system, which others use too.
    #[test]
    fn the_file_system_counts_where_the_folders_do_not_tell() {
        const LIMIT: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let space = |free| {
            Some(Space {
                free,
                all: 100 * LIMIT,
            })
        };
        let check = |was_denied: bool, early, left: u64| {
            let before = 50 * LIMIT;
            let now = std::cell::Cell::new(before);
            let mut limit = Limit::new(vec![folder.path().to_owned()], LIMIT, || space(now.get()));
            limit.early = early;
            now.set(left);
            limit.verdict(was_denied)
        };
        let lost = |bytes| Some(Excess::FileSystem(bytes));
        assert_eq!(check(false, 0, 48 * LIMIT), None);
        assert_eq!(check(true, 0, 50 * LIMIT - 1), None);
        assert_eq!(check(true, 0, 49 * LIMIT), lost(LIMIT));
        assert_eq!(check(false, MOST_EARLY - 1, 48 * LIMIT), None);
        assert_eq!(check(false, MOST_EARLY, 48 * LIMIT), lost(2 * LIMIT));
        assert_eq!(check(false, 0, 9 * LIMIT), lost(41 * LIMIT));
    }

    #[test]
    fn folders_that_nobody_may_look_into_are_noticed() {
        use std::os::unix::fs::PermissionsExt;
        if nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: root may look into every folder");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        fs_err::create_dir(&closed).unwrap();
        fs_err::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        let mut measured = Measured::new(u64::MAX);
        measured.add(folder.path()).unwrap();
        assert!(measured.was_denied && !measured.ended_early);
        fs_err::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    }
}
