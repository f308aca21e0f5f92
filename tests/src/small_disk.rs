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

/// Fills the disk that a process sees at a folder, until the result is dropped.
pub struct DiskFiller(PathBuf);

impl DiskFiller {
    pub(crate) fn fill(pid: u32, folder: &Path) -> Self {
        use std::io::Write as _;
        let folder = folder.strip_prefix("/").unwrap();
        let path = Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(folder)
            .join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write(&vec![0; size]).is_ok() {}
        }
        Self(path)
    }
}

impl Drop for DiskFiller {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
