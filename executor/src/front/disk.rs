//! The disk limit of scripts. Their files must remain accessible to the next stage, the runner and a front without
//! root, so a disk of limited size cannot be mounted. Instead, the folders are measured while a script runs, and
//! rlimits bound each file (see `Confinement`).

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

use super::deleted_files::DeletedFiles;

/// The pause after a measurement in multiples of its duration, so that measuring uses at most 5 % of a processor.
const PAUSE_FACTOR: u32 = 20;
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The overhead per file: empty files fill a disk, too.
const BYTES_PER_FILE: u64 = 512;
/// The largest number of hard-linked files that are counted once. Further ones count with each name.
const MAX_LINKED: usize = 1_000_000;
/// How many consecutive measurements may end early before the usage of the file system counts in their place.
const MAX_EARLY: u32 = 3;
/// A file system is nearly full when less than one in this many bytes is free. Its usage then counts, too.
const SCARCE_DIVISOR: u64 = 10;

/// Measures the folders of a job while one of its scripts runs.
pub(super) struct DiskWatch {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Option<LimitExceeded>>,
}

/// How a limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitExceeded {
    /// The folders have reached the limit.
    Folders,
    /// So many bytes of the file system were used since the script began, and the folders could not be measured.
    FileSystem(u64),
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Space {
    free: u64,
    total: u64,
}

impl Space {
    fn of(folder: &Path) -> Option<Self> {
        let found = statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        Some(Self {
            free: bytes(found.blocks_available()),
            total: bytes(found.blocks()),
        })
    }
}

impl DiskWatch {
    /// Calls `exceeded` once, as soon as the folders and deleted files reach `limit` bytes. If the folders cannot be
    /// measured or the file system is nearly full, its loss of free space counts as well.
    pub(super) fn start(
        folders: Vec<PathBuf>,
        deleted: Option<DeletedFiles>,
        limit: u64,
        exceeded: impl FnOnce() + Send + 'static,
    ) -> Self {
        let place = folders.first().cloned();
        let space = move || place.as_deref().and_then(Space::of);
        let limit = Limit {
            deleted,
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
                let pause = (began.elapsed() * PAUSE_FACTOR).clamp(MIN_PAUSE, MAX_PAUSE);
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return limit.check();
                }
            }
        });
        Self { stop, thread }
    }

    /// Stops after a last measurement. Returns how the limit was exceeded, if it was.
    pub(super) fn end(self) -> Option<LimitExceeded> {
        // Fails when the thread has ended by itself.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

/// A limit, and the state of its measurements.
struct Limit<F> {
    folders: Vec<PathBuf>,
    deleted: Option<DeletedFiles>,
    limit: u64,
    space: F,
    /// Free bytes of the file system before the script began.
    free_before: Option<u64>,
    /// How many measurements in a row ended early.
    early: u32,
}

impl<F: Fn() -> Option<Space>> Limit<F> {
    fn new(folders: Vec<PathBuf>, limit: u64, space: F) -> Self {
        let free_before = space().map(|space| space.free);
        Self {
            folders,
            deleted: None,
            limit,
            space,
            free_before,
            early: 0,
        }
    }

    fn check(&mut self) -> Option<LimitExceeded> {
        let mut measured = Measured::new(self.limit);
        // Before the folders, so that files removed meanwhile do not count twice.
        let deleted = self.deleted.as_ref();
        measured.bytes = deleted.map_or(0, |deleted| deleted.bytes(&self.folders));
        for folder in &self.folders {
            // A folder that cannot be read may be gone; the others still count.
            measured.ended_early |= measured.add(folder).is_err();
        }
        if measured.is_reached() {
            return Some(LimitExceeded::Folders);
        }
        self.early = match measured.ended_early {
            true => self.early.saturating_add(1),
            false => 0,
        };
        self.check_file_system(measured.was_denied)
    }

    /// Checks the loss of free space. Other programs use the file system as well, so it counts only when the folders
    /// cannot be measured or the space is scarce.
    fn check_file_system(&self, was_denied: bool) -> Option<LimitExceeded> {
        let now = (self.space)()?;
        let lost = self.free_before?.saturating_sub(now.free);
        let is_unknown = was_denied || self.early >= MAX_EARLY;
        let is_scarce = now.free < now.total / SCARCE_DIVISOR;
        (lost >= self.limit && (is_unknown || is_scarce)).then_some(LimitExceeded::FileSystem(lost))
    }
}

/// The result of a measurement.
struct Measured {
    bytes: u64,
    limit: u64,
    linked: HashSet<(u64, u64)>,
    /// Whether a folder could not be read.
    was_denied: bool,
    /// Whether folders were moved, so that some may have been missed.
    ended_early: bool,
}

/// A folder on the path to the current one.
struct Level {
    id: (u64, u64),
    /// Its subfolders that were not visited yet.
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

    /// Adds a folder and everything below it, at any depth, with one descriptor at a time and without following links.
    /// Ends early when folders are moved meanwhile; the next measurement finds them again.
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

    /// Counts the entries of a folder.
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
        if has_names && self.linked.len() < MAX_LINKED && !self.linked.insert(id(stat)) {
            return;
        }
        let blocks = stat.st_blocks.max(0).unsigned_abs();
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
mod tests;
