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
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

/// How long the folders are left alone after each measurement, in times of what that took: at most 5 % of a processor.
const REST: u32 = 20;
const SHORTEST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// What a file costs beside its content: empty ones fill a disk, too.
const BYTES_PER_FILE: u64 = 512;
/// Files with several names that are counted once. More of them count with each name.
const MOST_LINKED: usize = 1_000_000;

/// Measures the folders of a job while one of its scripts runs.
pub(super) struct DiskWatch {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<bool>,
}

impl DiskWatch {
    /// Calls `exceeded` once, as soon as the folders hold `limit` bytes.
    pub(super) fn start(
        folders: Vec<PathBuf>,
        limit: u64,
        exceeded: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            loop {
                let began = Instant::now();
                if is_reached(&folders, limit) {
                    exceeded();
                    return true;
                }
                let rest = (began.elapsed() * REST).clamp(SHORTEST_REST, LONGEST_REST);
                if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                    return is_reached(&folders, limit);
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends it after a last measurement. Returns whether the limit was reached.
    pub(super) fn end(self) -> bool {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or(false)
    }
}

fn is_reached(folders: &[PathBuf], limit: u64) -> bool {
    let mut measured = Measured {
        bytes: 0,
        limit,
        linked: HashSet::new(),
    };
    for folder in folders {
        // What cannot be read now may be gone; the rest counts.
        let _ = measured.add(folder);
    }
    measured.is_reached()
}

/// What was found so far.
struct Measured {
    bytes: u64,
    limit: u64,
    linked: HashSet<(u64, u64)>,
}

/// A folder on the way down.
struct Level {
    id: (u64, u64),
    /// The folders in it that were not visited yet.
    left: Vec<CString>,
}

impl Measured {
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
                let Ok(inner) = open(&current, name.as_c_str()) else {
                    continue;
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
        let mut measured = Measured {
            bytes: 0,
            limit: u64::MAX,
            linked: HashSet::new(),
        };
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

    #[test]
    fn the_limit_is_noticed_while_a_script_runs_and_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().to_owned()];
        let (tell, told) = mpsc::channel();
        let watch = DiskWatch::start(folders.clone(), 1 << 20, move || tell.send(()).unwrap());
        fs_err::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
        told.recv().unwrap();
        assert!(watch.end());
        assert!(DiskWatch::start(folders.clone(), 1 << 20, || {}).end());
        assert!(!DiskWatch::start(folders, 2 << 20, || {}).end());
    }
}
