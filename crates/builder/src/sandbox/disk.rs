//! Checks whether the host can create the image for the files of a build.

use std::io;
use std::path::Path;

use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC, TMPFS_MAGIC, statfs};

use super::config::{SandboxConfig, ScratchDisk};
use crate::programs::find_program;
use crate::sys;

/// The program that formats an image.
pub(crate) const MKFS: &str = "mkfs.ext4";
/// linux/magic.h
const EXFAT_MAGIC: FsType = FsType(0x2011_bab0);

/// Returns a warning if build files take memory although they should be on disk.
pub(crate) fn warning(config: &SandboxConfig) -> Option<String> {
    let in_memory = "build files are kept in memory (tmpfs) and count towards the memory limit";
    match config.scratch_disk {
        ScratchDisk::Memory => None,
        ScratchDisk::Auto => {
            let why = unusable(&config.scratch_root).or_else(no_loop_device)?;
            Some(format!("{in_memory}: {why}"))
        }
        ScratchDisk::Image => match statfs_type(&config.scratch_root) {
            Some(TMPFS_MAGIC) => Some(format!(
                "the scratch disk images are themselves in memory: {}",
                is_memory(&config.scratch_root)
            )),
            _ => None,
        },
    }
}

/// Returns why images cannot be created, if the host is configured to create them.
pub(crate) fn missing(config: &SandboxConfig) -> Option<String> {
    match config.scratch_disk {
        ScratchDisk::Image => no_program()
            .or_else(|| no_sparse_files(&config.scratch_root))
            .or_else(no_loop_device),
        ScratchDisk::Auto | ScratchDisk::Memory => None,
    }
}

/// Returns why an image in this folder cannot be created, or would not help. Does not test loop devices.
pub(crate) fn unusable(folder: &Path) -> Option<String> {
    no_program()
        .or_else(|| no_sparse_files(folder))
        .or_else(|| match statfs_type(folder) {
            Some(TMPFS_MAGIC) => Some(is_memory(folder)),
            _ => None,
        })
}

fn no_program() -> Option<String> {
    find_program(MKFS)
        .is_none()
        .then(|| format!("`{MKFS}` is not installed (package e2fsprogs)"))
}

/// Returns a reason if the file system lacks sparse files: a file of the limit's size would be written in full.
fn no_sparse_files(folder: &Path) -> Option<String> {
    match statfs_type(folder) {
        Some(MSDOS_SUPER_MAGIC | EXFAT_MAGIC) => Some(format!(
            "the file system of {} does not support sparse files",
            folder.display()
        )),
        _ => None,
    }
}

fn is_memory(folder: &Path) -> String {
    format!("{} is in memory", folder.display())
}

/// Returns the file system of a folder that might not exist yet.
fn statfs_type(folder: &Path) -> Option<FsType> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    statfs(there).ok().map(|found| found.filesystem_type())
}

fn no_loop_device() -> Option<String> {
    sys::free_loop()
        .err()
        .map(|error| describe_loop_error(&error))
}

/// Describes the error of a loop device.
pub(crate) fn describe_loop_error(error: &io::Error) -> String {
    format!("no loop device is available: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_tmpfs_folders() {
        let folder = Path::new("/dev/shm/buildbtw-is-not-there/scratch");
        if statfs_type(folder) != Some(TMPFS_MAGIC) {
            println!("skipped: /dev/shm is not a tmpfs");
            return;
        }
        let mut config = SandboxConfig::new(folder);
        let warning = warning(&config).unwrap();
        assert!(warning.contains("in memory"), "{warning}");
        config.scratch_disk = ScratchDisk::Image;
        let warning = super::warning(&config).unwrap();
        assert!(warning.contains("/dev/shm"), "{warning}");
        config.scratch_disk = ScratchDisk::Memory;
        assert_eq!(super::warning(&config), None);
        assert_eq!(missing(&config), None);
    }
}
