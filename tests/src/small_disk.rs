//! Disks that are soon full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a command that runs with a small separate disk below `folder`. The mount is in a namespace of only this
/// process, and disappears with it.
pub(crate) fn on_small_disk(command: &Command, folder: &Path, size: &str) -> Command {
    std::fs::create_dir_all(folder).unwrap();
    let mut small = Command::new("unshare");
    small
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(format!(
            "mount -t tmpfs -o size={size} none \"$0\"; exec \"$@\""
        ))
        .arg(folder)
        .arg(command.get_program())
        .args(command.get_args())
        .env("NO_COLOR", "1");
    small
}

/// Returns the path of a folder as a process sees it.
fn seen_by(pid: u32, folder: &Path) -> PathBuf {
    let folder = folder.strip_prefix("/").unwrap();
    Path::new("/proc")
        .join(pid.to_string())
        .join("root")
        .join(folder)
}

/// Fills the disk that a process sees at a folder, until the result is dropped.
pub struct DiskFiller(PathBuf);

impl DiskFiller {
    pub(crate) fn fill(pid: u32, folder: &Path) -> Self {
        use std::io::Write as _;
        let path = seen_by(pid, folder).join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write(&vec![0; size]).is_ok() {}
        }
        Self(path)
    }

    /// Leaves less than this many MiB free.
    pub(crate) fn fill_except(pid: u32, folder: &Path, free_mib: u64) -> Self {
        use std::io::Write as _;
        const BLOCK: usize = 64 << 10;
        let folder = seen_by(pid, folder);
        let path = folder.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let free = || {
            let disk = nix::sys::statvfs::statvfs(&folder).unwrap();
            disk.blocks_available() * disk.fragment_size()
        };
        while free() >= free_mib << 20 {
            file.write_all(&[0; BLOCK]).unwrap();
        }
        Self(path)
    }
}

impl Drop for DiskFiller {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
