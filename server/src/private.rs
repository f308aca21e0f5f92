//! Protects the server's files from other users of the machine.
//!
//! A user who can open a file of the database can also lock it and so stop all writers, so the whole
//! folder is private, not only its secrets.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::Path;

use buildbtw_model::Explanation;
use rustix::fs::Mode;

use crate::owner::{LOST_AND_FOUND, Owner, command};

/// The mode of folders: rwx for the server's user.
const FOLDER: u32 = 0o700;
/// The mode of files: rw for the server's user.
const FILE: u32 = 0o600;
/// What may belong to root, because the server never opens it to read or write: it replaces some of these files.
const MAY_BE_OF_ROOT: [&str; 3] = [LOST_AND_FOUND, "address", "admin-token"];

/// Sets the umask, so that new files and folders are private.
pub fn restrict_new_files() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Creates the data folder if it does not exist, and makes it private with all its files; older versions
/// did not.
///
/// # Errors
/// When the folder cannot be created, or a file in it belongs to another user.
pub fn restrict_data_folder(data: &Path) -> anyhow::Result<()> {
    create(data)?;
    let tree = Tree {
        data,
        own: Owner::own(),
    };
    tree.restrict(data, FOLDER)?;
    for entry in fs_err::read_dir(data)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let closed = if kind.is_file() {
            tree.restrict(&entry.path(), FILE)
        } else if kind.is_dir() {
            tree.restrict_all(&entry.path())
        } else {
            Ok(())
        };
        match closed {
            // Another server may be shutting down, and SQLite removes its own files.
            Err(error) if is_not_found(&error) => {}
            closed => closed?,
        }
    }
    Ok(())
}

/// Creates the data folder if it does not exist, and makes it private, for a command that fills it. Root may fill that
/// of any user.
///
/// # Errors
/// When the folder cannot be created, or belongs to another user.
pub fn create_data_folder(data: &Path) -> anyhow::Result<()> {
    create(data)?;
    let own = Owner::own();
    let own = match own.user {
        0 => Owner::of(data)?,
        _ => own,
    };
    Tree { data, own }.restrict(data, FOLDER)
}

fn create(data: &Path) -> Result<(), Explanation> {
    let created = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(data);
    created.map_err(|error| {
        Explanation::with_hint(
            format!(
                "cannot create the data folder `{}`: {error}",
                data.display()
            ),
            "choose another --data-dir, or create the folder for the server's user",
        )
    })
}

/// A data folder, and whose files it may have.
#[derive(Clone, Copy)]
struct Tree<'a> {
    data: &'a Path,
    own: Owner,
}

impl Tree<'_> {
    /// Makes a folder private with all its files. A folder that is already private is skipped.
    fn restrict_all(self, top: &Path) -> anyhow::Result<()> {
        if self.is_private(top, FOLDER)? {
            return Ok(());
        }
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    self.restrict(&entry.path(), FOLDER)?;
                    folders.push(entry.path());
                } else if kind.is_file() {
                    self.restrict(&entry.path(), FILE)?;
                }
            }
        }
        // Last, so that an interrupted run starts over.
        self.restrict(top, FOLDER)
    }

    fn restrict(self, path: &Path, mode: u32) -> anyhow::Result<()> {
        if self.is_private(path, mode)? {
            return Ok(());
        }
        match rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(io::Error::from) {
            // The caller decides whether the file has to exist.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error.into()),
            restricted => Ok(restricted.map_err(|error| not_restricted(path, &error))?),
        }
    }

    /// Returns whether a file or folder is private. It has to belong to the user of the server.
    fn is_private(self, path: &Path, mode: u32) -> anyhow::Result<bool> {
        let metadata = fs_err::metadata(path)?;
        let is_private = metadata.permissions().mode() & 0o777 == mode;
        if let Some(refusal) = self.refusal(path, metadata.uid(), is_private) {
            anyhow::bail!(refusal);
        }
        Ok(is_private)
    }

    /// Returns why the server cannot use a file of this user.
    fn refusal(self, path: &Path, owner: u32, is_private: bool) -> Option<Explanation> {
        let Owner { user, .. } = self.own;
        // Root can read everything anyway.
        let is_of_root = owner == 0 && is_private && {
            let name = path.strip_prefix(self.data).unwrap_or(path);
            MAY_BE_OF_ROOT.map(Path::new).contains(&name)
        };
        if owner == user || is_of_root {
            return None;
        }
        let repair = format!("run `{}` as root", command(self.data, self.own));
        let hint = match user {
            0 => format!("run the server as user {owner}, or {repair}"),
            _ => repair,
        };
        Some(Explanation::with_hint(
            format!(
                "`{}` belongs to user {owner}, but the server runs as user {user}",
                path.display()
            ),
            hint,
        ))
    }
}

/// Explains that other users can open a file.
fn not_restricted(path: &Path, error: &io::Error) -> Explanation {
    let hint = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount its disk read-write, or choose another --data-dir"
        }
        _ => {
            "choose a --data-dir on a file system with permissions, or remove the attribute `immutable` \
             (`chattr -i`)"
        }
    };
    Explanation::with_hint(
        format!(
            "cannot restrict the permissions of `{}`: {error}",
            path.display()
        ),
        hint,
    )
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_permissions_match_snapshot() {
        let file = Path::new("/srv/data/buildbtw.sqlite3");
        let kinds = [
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::PermissionDenied,
        ];
        let errors = kinds.map(|kind| not_restricted(file, &kind.into()).to_string());
        insta::assert_snapshot!(errors.join("\n\n"));
    }

    #[test]
    fn creates_private_data_folder_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/data");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        restrict_data_folder(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        // As left by an older version.
        let database = data.join("buildbtw.sqlite3");
        let logs = data.join("logs");
        let (log_folder, log) = (logs.join("1"), logs.join("1/log"));
        fs_err::create_dir_all(&log_folder).unwrap();
        let outside = folder.path().join("outside");
        for file in [&database, &log, &outside] {
            fs_err::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&outside, logs.join("link")).unwrap();
        let (files, folders) = ([&database, &log], [&data, &logs, &log_folder]);
        for path in folders {
            fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        for path in files.into_iter().chain([&outside]) {
            fs_err::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        }
        restrict_data_folder(&data).unwrap();
        assert_eq!(folders.map(|path| mode(path)), [0o700; 3]);
        assert_eq!(files.map(|path| mode(path)), [0o600; 2]);
        assert_eq!(mode(&outside), 0o644);
    }

    #[test]
    fn rejects_data_folder_of_another_user() {
        /// The user `nobody`.
        const OTHER: u32 = 65_534;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        restrict_data_folder(&data).unwrap();
        let database = data.join("buildbtw.sqlite3");
        fs_err::write(&database, "").unwrap();
        fs_err::set_permissions(&database, PermissionsExt::from_mode(0o600)).unwrap();
        for path in [&database, &data] {
            if std::os::unix::fs::chown(path, Some(OTHER), None).is_err() {
                eprintln!("SKIPPED: only root can change the owner of files");
                return;
            }
            let refused = restrict_data_folder(&data).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 65534"), "{refused}");
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
        }
    }

    #[test]
    fn root_may_fill_the_folder_of_another_user() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        create_data_folder(&data).unwrap();
        if std::os::unix::fs::chown(&data, Some(12_345), None).is_err() {
            eprintln!("SKIPPED: only root can change the owner of files");
            return;
        }
        fs_err::set_permissions(&data, PermissionsExt::from_mode(0o755)).unwrap();
        create_data_folder(&data).unwrap();
        let metadata = data.metadata().unwrap();
        let found = (metadata.uid(), metadata.permissions().mode() & 0o777);
        assert_eq!(found, (12_345, 0o700));
    }

    #[test]
    fn names_owner_and_repair_of_files_that_the_server_cannot_use() {
        let refusal = |path: &str, owner, user| {
            let own = Owner { user, group: user };
            let data = Path::new("/srv/data");
            let refusal = Tree { data, own }.refusal(&data.join(path), owner, true);
            refusal.map(|refusal| refusal.to_string())
        };
        for (path, owner, user) in [
            ("repos", 7, 7),
            ("repos", 0, 0),
            ("lost+found", 0, 7),
            ("admin-token", 0, 7),
        ] {
            assert_eq!(refusal(path, owner, user), None, "{path}");
        }
        let refused = [("repos", 0, 7), ("", 7, 0)];
        let refused = refused.map(|(path, owner, user)| refusal(path, owner, user).unwrap());
        insta::assert_snapshot!(refused.join("\n\n"));
        assert!(refusal("admin-token", 8, 7).is_some());
    }
}
