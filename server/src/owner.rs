//! Owners of files in the data folder. Root may run `backup`, `restore` and `check` for a server whose user exists only
//! while it runs (systemd, `DynamicUser=`): what they write belongs to the owner of the folder, or the server could not
//! read it.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use buildbtw_model::Explanation;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat, statat};
use rustix::io::Errno;

/// What mkfs puts into every ext4 file system, for root only.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// The owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The number of the user.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
}

impl Owner {
    /// Returns the owner of a file.
    ///
    /// # Errors
    /// When the file does not exist or is in a closed folder.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs_err::metadata(path)?;
        Ok(Self {
            user: metadata.uid(),
            group: metadata.gid(),
        })
    }

    /// Returns the owner of files that this process creates.
    #[must_use]
    pub fn own() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        }
    }
}

/// How much of a folder is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What is directly in it.
    Entries,
    /// Everything below it.
    All,
}

/// A file that does not belong to the owner of the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its path.
    pub path: PathBuf,
    /// The number of its user.
    pub user: u32,
}

/// Returns the files and folders in a folder that belong to another user than the folder. Folders that this process
/// cannot read are left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn foreign(folder: &Path, depth: Depth) -> io::Result<Vec<Foreign>> {
    let mut found = Vec::new();
    visit_foreign(folder, depth, &mut |entry| {
        found.push(entry.foreign());
        Ok(())
    })?;
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Gives what is in a folder to the owner of the folder, except these files. Does nothing unless root runs this: other
/// users cannot create files of another user.
///
/// # Errors
/// When the folder cannot be read, or its file system does not support owners.
pub fn give_to_owner(folder: &Path, depth: Depth, except: &[Foreign]) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    visit_foreign(folder, depth, &mut |entry| {
        if except.contains(&entry.foreign()) {
            return Ok(());
        }
        let (user, group) = (entry.owner.user, entry.owner.group);
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        let (folder, name) = (entry.folder, entry.name);
        match chownat(
            folder,
            name,
            Some(user),
            Some(group),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(named("change the owner of", &entry.path, error)),
        }
    })
}

/// A file or folder that does not belong to the owner of the visited folder.
struct Entry<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
    path: PathBuf,
    user: u32,
    /// Who it should belong to.
    owner: Owner,
}

impl Entry<'_> {
    fn foreign(&self) -> Foreign {
        Foreign {
            path: self.path.clone(),
            user: self.user,
        }
    }
}

type Visit<'a> = dyn FnMut(Entry<'_>) -> io::Result<()> + 'a;

fn visit_foreign(top: &Path, depth: Depth, visit: &mut Visit<'_>) -> io::Result<()> {
    let owner = Owner::of(top)?;
    let opened = openat(CWD, top, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let folder = opened.map_err(|error| named("open", top, error))?;
    visit_folder(&folder, top, owner, depth, visit)
}

/// Visits a folder relative to its descriptor: with paths, a user could exchange a folder for a symbolic link, and get a
/// file of the system from root.
fn visit_folder(
    folder: &OwnedFd,
    path: &Path,
    owner: Owner,
    depth: Depth,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    let unreadable = |error| named("read", path, error);
    for entry in Dir::read_from(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let shown = OsStr::from_bytes(name.to_bytes());
        if [".", "..", LOST_AND_FOUND].map(OsStr::new).contains(&shown) {
            continue;
        }
        let inner = path.join(shown);
        let found = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            // The server removes files meanwhile.
            Err(Errno::NOENT) => continue,
            found => found.map_err(|error| named("read", &inner, error))?,
        };
        if found.st_uid != owner.user {
            visit(Entry {
                folder: folder.as_fd(),
                name,
                path: inner.clone(),
                user: found.st_uid,
                owner,
            })?;
        }
        if depth == Depth::All && FileType::from_raw_mode(found.st_mode).is_dir() {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(folder, name, flags, Mode::empty()) {
                Ok(opened) => visit_folder(&opened, &inner, owner, depth, visit)?,
                Err(Errno::NOENT | Errno::ACCESS) => {}
                Err(error) => return Err(named("open", &inner, error)),
            }
        }
    }
    Ok(())
}

fn named(what: &str, path: &Path, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(
        error.kind(),
        format!("cannot {what} `{}`: {error}", path.display()),
    )
}

/// Explains why a command cannot use a data folder.
#[must_use]
pub fn unusable(data: &Path, error: &io::Error) -> Explanation {
    let shown = data.display();
    match (error.kind(), data.metadata()) {
        (io::ErrorKind::NotADirectory, _) => Explanation::with_hint(
            format!("`{shown}` is not a folder"),
            "set --data-dir to a folder",
        ),
        (io::ErrorKind::PermissionDenied, Ok(metadata)) => {
            not_permitted(data, metadata.uid(), Owner::own().user)
        }
        _ => Explanation::with_hint(
            format!("cannot use the data folder `{shown}`: {error}"),
            "choose another --data-dir, or run the command as its owner",
        ),
    }
}

fn not_permitted(data: &Path, owner: u32, own: u32) -> Explanation {
    Explanation::with_hint(
        format!(
            "`{}` belongs to user {owner}, and user {own} cannot use it",
            data.display()
        ),
        format!("run the command as user {owner} or as root"),
    )
}

/// Returns the command that gives a data folder to a user.
#[must_use]
pub fn command(data: &Path, owner: Owner) -> String {
    let Owner { user, group } = owner;
    format!("chown --recursive {user}:{group} '{}'", data.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any user but root.
    const OTHER: u32 = 12_345;

    fn chown(path: &Path, user: u32) -> bool {
        let changed = std::os::unix::fs::chown(path, Some(user), Some(user));
        if changed.is_err() {
            eprintln!("SKIPPED: only root can change the owner of files");
        }
        changed.is_ok()
    }

    #[test]
    fn errors_match_snapshot() {
        let data = Path::new("/nonexistent/data");
        let errors = [
            unusable(data, &io::ErrorKind::NotADirectory.into()),
            unusable(data, &io::ErrorKind::PermissionDenied.into()),
            not_permitted(data, 7, 8),
        ];
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n\n"));
    }

    #[test]
    fn gives_files_to_the_owner_of_the_folder_and_follows_no_links() {
        let folder = tempfile::tempdir().unwrap();
        let (data, outside) = (folder.path().join("data"), folder.path().join("outside"));
        let inner = data.join("repos/first");
        fs_err::create_dir_all(&inner).unwrap();
        fs_err::create_dir(&outside).unwrap();
        for file in [inner.join("first.db"), data.join("lock"), outside.join("x")] {
            fs_err::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&outside, data.join("link")).unwrap();
        assert_eq!(foreign(&data, Depth::All).unwrap(), []);
        if !chown(&data, OTHER) {
            return;
        }
        let paths = |depth| -> Vec<String> {
            let found = foreign(&data, depth).unwrap();
            let names = found.iter().map(|file| {
                assert_eq!(file.user, 0);
                file.path.strip_prefix(&data).unwrap().display().to_string()
            });
            names.collect()
        };
        let all = [
            "link",
            "lock",
            "repos",
            "repos/first",
            "repos/first/first.db",
        ];
        assert_eq!(paths(Depth::All), all);
        assert_eq!(paths(Depth::Entries), ["link", "lock", "repos"]);
        let known = Foreign {
            path: inner.join("first.db"),
            user: 0,
        };
        give_to_owner(&data, Depth::Entries, &[]).unwrap();
        assert_eq!(paths(Depth::All), all[3..]);
        give_to_owner(&data, Depth::All, &[known]).unwrap();
        assert_eq!(paths(Depth::All), all[4..]);
        give_to_owner(&data, Depth::All, &[]).unwrap();
        assert_eq!(paths(Depth::All), [""; 0]);
        let given = Owner::of(&inner.join("first.db")).unwrap();
        assert_eq!((given.user, given.group), (OTHER, OTHER));
        for path in [&outside, &outside.join("x")] {
            assert_eq!(Owner::of(path).unwrap().user, 0);
        }
    }

    #[test]
    fn explains_unusable_data_folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        let explained = |kind: io::ErrorKind, path: &Path| unusable(path, &kind.into()).to_string();
        let text = explained(io::ErrorKind::NotADirectory, &file);
        assert!(text.contains("is not a folder\nhint: "), "{text}");
        let text = explained(io::ErrorKind::PermissionDenied, folder.path());
        assert!(text.contains("as root"), "{text}");
        let text = not_permitted(Path::new("data"), OTHER, 7).to_string();
        assert!(text.contains("belongs to user 12345, and user 7"), "{text}");
    }
}
