//! The file systems that are created for each step: `/dev`, `/proc`, `/sys`, `/dev/shm`, `/run` and `/tmp`. Those
//! of bubblewrap have no limit of size or of inodes: without a cgroup, they could exhaust the host's
//! memory.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::make_dir;
use crate::failure::Failure;
use crate::sys::Mount;

/// Name, bytes, files, mode.
const SIZES: [(&str, u64, u64, u32); 4] = [
    ("dev", 1 << 20, 256, 0o755),
    ("shm", 256 << 20, 16_384, 0o1777),
    ("run", 64 << 20, 16_384, 0o755),
    ("tmp", 256 << 20, 16_384, 0o1777),
];
/// The group that owns terminals.
const TTY: u32 = 5;
/// The devices of bubblewrap's own `--dev`.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// The folders of `/sys`, in order. They stay empty unless something is mounted: their contents would reveal
/// network cards, disks and firmware.
const SYS: &[&str] = &[
    "sys",
    "sys/block",
    "sys/bus",
    "sys/class",
    "sys/devices",
    "sys/devices/system",
];
/// The visible parts of the host's own `/sys`: the number and kind of processors.
const SYS_OF_MACHINE: &[&str] = &["cpu", "node"];
/// Files of `/proc` that list the host's disks; they appear empty.
const PROC_OF_DISKS: &[&str] = &["/proc/diskstats", "/proc/partitions"];

/// The mounts, created in a folder that is invisible to the step and bound from there.
pub(super) struct StepMounts {
    folder: PathBuf,
    mounts: Vec<Mount>,
}

impl StepMounts {
    /// Creates the mount points.
    pub(super) fn new(scratch: &Path, first_uid: u32) -> Result<Self, Failure> {
        let folder = scratch.join("volatile");
        make_dir(&folder, 0o755)?;
        let mut mounts = Vec::new();
        for (name, bytes, files, mode) in SIZES {
            let options = format!(
                "size={bytes},nr_inodes={files},mode={mode:o},uid={first_uid},gid={first_uid}"
            );
            mounts.push(mount("tmpfs", &folder.join(name), &options)?);
        }
        let options = format!("newinstance,ptmxmode=0666,mode=620,gid={}", first_uid + TTY);
        mounts.push(mount("devpts", &folder.join("pts"), &options)?);
        for name in SYS {
            make_dir(&folder.join(name), 0o755)?;
        }
        for name in SYS_OF_MACHINE {
            make_dir(&folder.join("sys/devices/system").join(name), 0o755)?;
        }
        fs_err::write(folder.join("empty"), "")?;
        Ok(Self { folder, mounts })
    }

    /// Returns the file systems to mount before the step starts.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        self.mounts.clone()
    }

    /// Makes `/dev` and `/run` visible.
    pub(super) fn add(&self, bwrap: &mut Command) {
        self.bind(bwrap, "--bind", "dev", "/dev");
        for device in DEVICES {
            let device = format!("/dev/{device}");
            bwrap.args(["--dev-bind", &device, &device]);
        }
        for (target, link) in LINKS {
            bwrap.args(["--symlink", target, link]);
        }
        self.bind(bwrap, "--dev-bind", "pts", "/dev/pts");
        self.bind(bwrap, "--bind", "shm", "/dev/shm");
        self.bind(bwrap, "--bind", "run", "/run");
    }

    /// Makes `/proc` and `/sys` visible, without the host's settings and devices.
    pub(super) fn add_machine(&self, bwrap: &mut Command) {
        // Even root of a sandbox must not reach the host's settings.
        bwrap.args(["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]);
        for file in PROC_OF_DISKS.iter().filter(|file| Path::new(file).exists()) {
            self.bind(bwrap, "--ro-bind", "empty", file);
        }
        self.bind(bwrap, "--ro-bind", "sys", "/sys");
        for name in SYS_OF_MACHINE {
            let path = format!("/sys/devices/system/{name}");
            bwrap.args(["--ro-bind-try", &path, &path]);
        }
    }

    /// Makes `/tmp` visible, if the root has none.
    pub(super) fn add_tmp(&self, bwrap: &mut Command) {
        self.bind(bwrap, "--bind", "tmp", "/tmp");
    }

    fn bind(&self, bwrap: &mut Command, option: &str, name: &str, target: &str) {
        bwrap.arg(option).arg(self.folder.join(name)).arg(target);
    }
}

fn mount(kind: &str, target: &Path, options: &str) -> Result<Mount, Failure> {
    make_dir(target, 0o755)?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(std::io::Error::from);
    Ok(Mount {
        kind: text(kind.as_bytes())?,
        target: text(target.as_os_str().as_bytes())?,
        options: text(options.as_bytes())?,
    })
}
