//! The scratch disk of one attempt. It contains everything that a build writes, and its size is the disk
//! limit. It is a sparse image on the host's disk, so that files of large builds take no memory, or else
//! a tmpfs.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{Statvfs, fstatvfs, statvfs};
use nix::unistd::syncfs;

use super::headings::heading;
use super::{collect, failures};
use crate::failure::{Context as _, Failure};
use crate::request::Limits;
use crate::sandbox::config::ScratchDisk;
use crate::sandbox::disk::{MKFS, describe_loop_error, unusable};
use crate::sandbox::job::{BuildTask, Report};
use crate::sys;

/// Where the sandbox is assembled, in the helper's own mount namespace: every user may enter the folders
/// above, unlike those above a scratch folder.
const MOUNT_POINT: &str = "/run/buildbtw-sandbox";
const MIN_BYTES: u64 = 1 << 20;
/// Bytes of a disk in memory for each file that it can contain.
const BYTES_PER_FILE: u64 = 8192;
const MIN_FILES: u64 = 65_536;
const BLOCK: u64 = 4096;
/// A disk with less free space than this, or less than a 64th, counts as full.
const LOW_SPACE: u64 = 64 << 20;
/// No journal and no barriers, because the files are not needed after a crash; no background thread that writes
/// zeros into a sparse file. After an error in the metadata, the disk becomes read-only.
const IMAGE_OPTIONS: &str = "nobarrier,noinit_itable,errors=remount-ro";
const FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// A mounted scratch disk.
pub(super) struct Disk {
    /// The mount point.
    pub(super) top: PathBuf,
    bytes: u64,
    image: Option<Image>,
}

/// The image of a disk. The file is already unlinked, so it disappears with its mount.
struct Image {
    file: File,
    /// Opened before the first write, so that the kernel reports every lost write to it (syncfs(2)).
    top: File,
    /// The folder that contained the file.
    folder: PathBuf,
}

/// The reason why there is no image.
enum ImageError {
    /// The host cannot create one.
    Unusable(String),
    Failed(Failure),
}

impl From<Failure> for ImageError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for ImageError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Disk {
    /// Mounts the scratch disk of a build.
    pub(super) fn of_build(task: &BuildTask) -> Result<Self, Failure> {
        let limits = &task.request.limits;
        let why = match task.scratch_disk {
            ScratchDisk::Memory => "the scratch disk is set to `memory`".to_owned(),
            kind @ (ScratchDisk::Auto | ScratchDisk::Image) => {
                match Self::in_image(kind, &task.scratch_folder, limits.disk_bytes) {
                    Err(ImageError::Unusable(why)) if kind == ScratchDisk::Auto => why,
                    Err(ImageError::Unusable(why)) => {
                        return Err(failures::no_image(&why));
                    }
                    Err(ImageError::Failed(failure)) => return Err(failure),
                    Ok(disk) => return Ok(disk),
                }
            }
        };
        let bytes = bytes_in_memory(limits);
        heading(&format!(
            "keeping the files of the build in memory (tmpfs, up to {bytes} bytes): {why}"
        ));
        Self::in_memory(bytes)
    }

    /// Mounts a scratch disk in memory.
    pub(super) fn in_memory(bytes: u64) -> Result<Self, Failure> {
        let top = mount_point()?;
        // Zero would mean no limit.
        let bytes = bytes.max(MIN_BYTES);
        let files = (bytes / BYTES_PER_FILE).max(MIN_FILES);
        let options = format!("size={bytes},nr_inodes={files},mode=0755");
        let (kind, options) = (Some("tmpfs"), Some(options.as_str()));
        mount(Some("buildbtw"), &top, kind, FLAGS, options).context("mounting the scratch disk")?;
        Ok(Self {
            top,
            bytes,
            image: None,
        })
    }

    fn in_image(kind: ScratchDisk, folder: &Path, bytes: u64) -> Result<Self, ImageError> {
        if kind == ScratchDisk::Auto
            && let Some(why) = unusable(folder)
        {
            return Err(ImageError::Unusable(why));
        }
        let file = create(folder, image_size(bytes.max(MIN_BYTES)))?;
        format(&file, folder)?;
        let (device, path) = sys::attach_loop(file.as_fd())
            .map_err(|error| ImageError::Unusable(describe_loop_error(&error)))?;
        let top = mount_point()?;
        match mount(Some(&path), &top, Some("ext4"), FLAGS, Some(IMAGE_OPTIONS)) {
            Err(error @ (Errno::ENODEV | Errno::EPERM | Errno::EACCES)) => {
                return Err(ImageError::Unusable(failures::not_mounted(error)));
            }
            mounted => mounted.context("mounting the scratch disk")?,
        }
        // From here on the mount keeps the device.
        drop(device);
        let image = Image {
            file,
            top: fs::File::open(&top)?.into_parts().0,
            folder: folder.to_owned(),
        };
        Ok(Self {
            top,
            bytes,
            image: Some(image),
        })
    }

    /// Corrects the result of a build after checking whether the disk lost writes or is full.
    pub(super) fn conclude(&self, result: Result<Report, Failure>) -> Result<Report, Failure> {
        let Some(lost) = self.lost_writes() else {
            return result.map_err(|failure| self.explain(failure));
        };
        Err(discard_build(result, lost))
    }

    /// Returns a failure if the host could not store what was written to the image, which the processes
    /// of the build do not notice.
    fn lost_writes(&self) -> Option<Failure> {
        let image = self.image.as_ref()?;
        let error = syncfs(&image.top).err()?;
        let is_full = fstatvfs(&image.file).is_ok_and(|disk| is_nearly_full(&disk));
        // The contents are not needed any more, and the report needs space on the same disk.
        let _ = image.file.set_len(0);
        Some(if error == Errno::ENOSPC || is_full {
            failures::full_disk(&image.folder)
        } else {
            failures::lost_writes(&image.folder, error)
        })
    }

    /// Blames a full disk for the failure, which tools report like any other.
    fn explain(&self, mut failure: Failure) -> Failure {
        let Ok(disk) = statvfs(&self.top) else {
            return failure;
        };
        if is_nearly_full(&disk) || disk.files_available() * 64 < disk.files() {
            failure.exceeds_disk(self.bytes);
        } else {
            let stored = self.image.as_ref().map_or(0, Image::stored);
            let used = (disk.blocks() - disk.blocks_free()).saturating_mul(disk.fragment_size());
            let most = stored.max(used);
            failure.memory_files = self.image.is_none().then_some(used);
            failure.busy_disk = (most >= self.bytes / 2).then_some(self.bytes);
        }
        failure
    }
}

/// Removes the files of a build whose writes were lost from the output folder, because they were read from
/// the damaged disk. Returns the failure of the build.
fn discard_build(result: Result<Report, Failure>, lost: Failure) -> Failure {
    match result {
        Ok(report) => {
            if let Report::Built {
                packages, pkgbuild, ..
            } = report
            {
                let packages = packages.iter().map(|package| package.path.as_path());
                collect::discard(packages.chain(pkgbuild.as_deref()));
            }
            lost
        }
        Err(failure) => Failure {
            message: format!("{}; {}", lost.message, failure.message),
            hint: lost.hint.clone().or(failure.hint),
            see_log: failure.see_log,
            ..lost
        },
    }
}

impl Image {
    /// Returns how many bytes of the file are allocated.
    fn stored(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.blocks() * 512)
    }
}

fn is_nearly_full(disk: &Statvfs) -> bool {
    let left = disk.blocks_available().saturating_mul(disk.fragment_size());
    let whole = disk.blocks().saturating_mul(disk.fragment_size());
    left < LOW_SPACE.min(whole / 64).max(1)
}

/// Returns the size of a scratch disk in memory. Its files count towards the memory limit: if it left no
/// memory for processes, one of them would be killed before the disk is full.
fn bytes_in_memory(limits: &Limits) -> u64 {
    let memory = limits.memory_bytes;
    limits.disk_bytes.min(memory - memory / 8)
}

fn mount_point() -> io::Result<PathBuf> {
    fs::create_dir_all(MOUNT_POINT)?;
    Ok(PathBuf::from(MOUNT_POINT))
}

/// Returns the size of an image that can store this many bytes. A 16th of an image are inodes, one for each
/// block, so that blocks are always exhausted first; ext4 reserves some MiB.
fn image_size(bytes: u64) -> u64 {
    let size = bytes.saturating_add(bytes / 14).saturating_add(2 << 20);
    size / BLOCK * BLOCK
}

/// Creates the file and unlinks it immediately, so that nothing is left if this process is killed.
fn create(folder: &Path, size: u64) -> Result<File, ImageError> {
    let path = folder.join("disk");
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    let file = file.into_parts().0;
    let disk = fstatvfs(&file).map_err(io::Error::from)?;
    // More could not be written to it, and the file system of the folder might not support larger files.
    let whole = disk.blocks().saturating_mul(disk.fragment_size());
    let size = if whole == 0 {
        size
    } else {
        size.min(whole.saturating_mul(2))
    };
    file.set_len(size)
        .map_err(|error| failures::no_room(folder, size, &error))?;
    Ok(file)
}

fn format(file: &File, folder: &Path) -> Result<(), ImageError> {
    let result = Command::new(MKFS)
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode"])
        .args(["-b", "4096", "-i", "4096", "-I", "256"])
        // The file has no other name.
        .arg("/proc/self/fd/0")
        .stdin(Stdio::from(file.try_clone()?))
        .output();
    let output = match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ImageError::Unusable(format!("`{MKFS}` is not installed")));
        }
        result => result.context("starting mkfs.ext4")?,
    };
    if output.status.success() {
        return Ok(());
    }
    let is_full = fstatvfs(file).is_ok_and(|disk| is_nearly_full(&disk));
    Err(ImageError::Failed(if is_full {
        failures::full_disk(folder)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        failures::not_formatted(folder, output.status, &errors)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::BuiltPackage;
    use buildbtw_package::TinyPackage;

    #[test]
    fn creates_sparse_image() {
        for bytes in [MIN_BYTES, 64 << 20, 40 << 30, 1 << 40] {
            let size = image_size(bytes);
            assert!(size > bytes + bytes / 15 && size < bytes + bytes / 10 + (4 << 20));
            assert_eq!(size % BLOCK, 0);
        }
        assert!(image_size(u64::MAX) > u64::MAX / 2);
    }

    /// The image is not read after a crash, and a journal would write everything twice.
    #[test]
    fn creates_image_without_journal_and_label() {
        use std::os::unix::fs::FileExt as _;
        const MAGIC: u64 = 1024 + 0x38;
        const FEATURES: u64 = 1024 + 0x5c;
        const HAS_JOURNAL: u8 = 0x4;
        let folder = tempfile::tempdir().unwrap();
        let file = create(folder.path(), 8 << 20).map_err(|_| ()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        match format(&file, folder.path()) {
            Ok(()) => {}
            Err(ImageError::Unusable(why)) => {
                eprintln!("SKIPPED: {why}");
                return;
            }
            Err(ImageError::Failed(failure)) => panic!("{failure}"),
        }
        let mut bytes = [0; 2];
        file.read_exact_at(&mut bytes, MAGIC).unwrap();
        assert_eq!(bytes, [0x53, 0xef]);
        file.read_exact_at(&mut bytes, FEATURES).unwrap();
        assert_eq!(bytes[0] & HAS_JOURNAL, 0);
    }

    #[test]
    fn limits_memory_disk_to_the_memory_limit() {
        let limits = Limits {
            disk_bytes: 40 << 30,
            memory_bytes: 8 << 30,
            ..Limits::default()
        };
        assert_eq!(bytes_in_memory(&limits), 7 << 30);
    }

    #[test]
    fn discards_build_after_lost_writes() {
        let folder = tempfile::tempdir().unwrap();
        let pkgbuild = folder.path().join("a-1-1.PKGBUILD");
        fs::write(&pkgbuild, "pkgrel=1").unwrap();
        let package = TinyPackage::new(
            "a".parse().unwrap(),
            "a".parse().unwrap(),
            "1-1".parse().unwrap(),
            "any".parse().unwrap(),
        );
        let package = BuiltPackage::write(&package, folder.path()).unwrap();
        let report = Report::Built {
            packages: vec![package],
            notes: Vec::new(),
            pkgbuild: Some(pkgbuild),
        };
        let names = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names(), 2);
        let lost = || Failure::infrastructure("the disk is full");
        let failure = discard_build(Ok(report), lost());
        assert_eq!(failure.message, "the disk is full");
        assert_eq!(names(), 0);

        let failed = Failure::package("a function failed").see_log();
        let failure = discard_build(Err(failed), lost());
        assert_eq!(failure.kind, buildbtw_model::FailureKind::Infrastructure);
        assert_eq!(failure.message, "the disk is full; a function failed");
        assert!(failure.see_log);
    }
}
