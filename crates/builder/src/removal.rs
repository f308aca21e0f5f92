//! Removes folders of any depth without deleting what is mounted in them.
//!
//! What a build leaves behind may be hostile: folders nested deeper than a process may hold descriptors or
//! than a path may be long. So the removal does not descend. It moves the inner folders of a folder up to the
//! top until none are left, which needs two descriptors at a time.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// How many entries of a folder are read at a time; it may have millions.
const BATCH: usize = 4_096;

/// Removes a folder and everything in it, unless a file system is mounted there or below: a mounted file
/// system belongs to another program.
///
/// # Errors
///
/// When something is mounted, or cannot be removed, for example because another process still writes to the
/// folder.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    let folder = fs_err::canonicalize(folder)?;
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    if let Some(mounted) = mounted_below(&mounts, &folder) {
        return Err(io::Error::other(format!(
            "{} is not removed, because {mounted} is mounted",
            folder.display()
        )));
    }
    let failed = |errno: Errno| {
        let error = io::Error::from(errno);
        let text = format!("cannot remove {}: {error}", folder.display());
        io::Error::new(error.kind(), text)
    };
    empty(&folder).map_err(failed)?;
    fs_err::remove_dir(&folder)
}

/// Removes the contents of a folder.
fn empty(folder: &Path) -> nix::Result<()> {
    let top = open(AT_FDCWD, folder)?;
    let mut moved = 0;
    loop {
        let entries = entries(&top)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            if !entry.is_folder {
                unlinkat(&top, entry.name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
                continue;
            }
            let inner = open(&top, entry.name.as_c_str())?;
            move_folders_to_top(&inner, &top, &mut moved)?;
            drop(inner);
            unlinkat(&top, entry.name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
}

/// Removes the files of a folder, and moves its folders to the top.
fn move_folders_to_top(folder: &OwnedFd, top: &OwnedFd, moved: &mut u64) -> nix::Result<()> {
    loop {
        let entries = entries(folder)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            if entry.is_folder {
                move_up(folder, &entry.name, top, moved)?;
            } else {
                unlinkat(folder, entry.name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
            }
        }
    }
}

/// Moves a folder to the top, under an unused name.
fn move_up(folder: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> nix::Result<()> {
    loop {
        *moved += 1;
        let new = format!(".removing-{moved}");
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(folder, name, top, new.as_str(), flags) {
            Err(Errno::EEXIST) => {}
            // The move changes its `..`, which requires write permission on the folder (rename(2), EACCES).
            Err(Errno::EACCES) => {
                make_accessible(folder, name)?;
                return renameat2(folder, name, top, new.as_str(), flags);
            }
            result => return result,
        }
    }
}

struct Entry {
    name: CString,
    is_folder: bool,
}

/// Returns up to [`BATCH`] entries of a folder; none if it is empty.
fn entries(folder: &OwnedFd) -> nix::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in Dir::openat(
        folder,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )?
    .iter()
    {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            None => {
                let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
            }
        };
        entries.push(Entry {
            name: name.to_owned(),
            is_folder,
        });
        if entries.len() == BATCH {
            break;
        }
    }
    Ok(entries)
}

/// Opens a folder for reading and removal, even if its owner lacks the permission. Does not follow links.
fn open<P: ?Sized + nix::NixPath>(parent: impl AsFd, name: &P) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = match openat(&parent, name, flags, Mode::empty()) {
        Err(Errno::EACCES) => {
            make_accessible(&parent, name)?;
            openat(&parent, name, flags, Mode::empty())?
        }
        result => result?,
    };
    let mode = nix::sys::stat::fstat(&folder)?.st_mode;
    if mode & 0o700 != 0o700 {
        // Root needs no permission, and only the owner can change the mode.
        let _ = nix::sys::stat::fchmod(&folder, Mode::S_IRWXU);
    }
    Ok(folder)
}

/// Grants the owner of a folder all permissions on it. Does not follow links.
fn make_accessible<P: ?Sized + nix::NixPath>(parent: impl AsFd, name: &P) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    // The mode of a file opened with O_PATH can only be changed by this path.
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    fs_err::set_permissions(path, PermissionsExt::from_mode(0o700))
        .map_err(|error| error.raw_os_error().map_or(Errno::EACCES, Errno::from_raw))
}

/// Returns the first mount point at or below a folder.
fn mounted_below<'a>(mountinfo: &'a str, folder: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| Path::new(&unescape(point)).starts_with(folder))
}

/// Decodes the octal escapes of blanks and similar characters.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deeper than the descriptor limit of most processes, and than the longest path.
    const DEEP: usize = 5_000;

    #[test]
    fn removes_deep_and_full_folders() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        fs_err::write(&kept, "").unwrap();
        let folder = place.path().join("folder");
        fs_err::create_dir(&folder).unwrap();
        let mut deepest = open(AT_FDCWD, &folder).unwrap();
        for level in 0..DEEP {
            std::os::unix::fs::symlink(
                place.path(),
                format!("/proc/self/fd/{}/link", deepest.as_raw_fd()),
            )
            .unwrap();
            nix::sys::stat::mkdirat(&deepest, "d", Mode::S_IRWXU).unwrap();
            // A name that the removal itself uses.
            if level % 1_000 == 0 {
                nix::sys::stat::mkdirat(&deepest, ".removing-1", Mode::empty()).unwrap();
            }
            deepest = open(&deepest, "d").unwrap();
        }
        drop(deepest);
        for file in 0..BATCH + 1 {
            fs_err::write(folder.join(file.to_string()), "").unwrap();
        }
        remove_folder(&folder).unwrap();
        assert!(!folder.exists() && kept.exists());
    }

    #[test]
    fn removes_closed_folders_without_following_links() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        fs_err::create_dir_all(kept.join("inside")).unwrap();
        let folder = place.path().join("folder");
        fs_err::create_dir_all(folder.join("a/b/c")).unwrap();
        std::os::unix::fs::symlink(&kept, folder.join("a/b/link")).unwrap();
        for closed in ["a/b/c", "a/b", "a", "."] {
            let mode = PermissionsExt::from_mode(0o000);
            fs_err::set_permissions(folder.join(closed), mode).unwrap();
        }
        remove_folder(&folder).unwrap();
        assert!(!folder.exists() && kept.join("inside").exists());
    }

    #[test]
    fn detects_mounts_below_a_folder() {
        let info = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:5 / /s/a\\040b/low ro - ext4 x rw\n";
        assert_eq!(
            mounted_below(info, Path::new("/s/a b")),
            Some("/s/a\\040b/low")
        );
        assert_eq!(mounted_below(info, Path::new("/s/a")), None);
    }
}
