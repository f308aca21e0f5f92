//! Permissions and owners of files and folders.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::{Check, Status};

/// Any access of group and others.
const OTHERS: u32 = 0o077;
/// The access that a secret must not allow. Its group may read it: that of a service, or of systemd's credentials.
const TOO_MUCH: u32 = 0o027;

/// The properties of a file that decide who can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    mode: u32,
    owner: u32,
    is_folder: bool,
}

/// Checks that a file with secrets exists, and that only its owner can use it.
#[must_use]
pub fn secret(name: &str, path: &Path) -> Check {
    match access(path) {
        Ok(access) if access.is_folder => is_folder(name, path),
        Ok(access) => {
            let is_readable = fs_err::File::open(path).is_ok();
            judge(name, path, access, is_readable, own())
        }
        Err(error) => unreadable(name, path, &error),
    }
}

/// Checks that a folder exists, and that only its owner can use it.
#[must_use]
pub fn private_folder(name: &str, path: &Path) -> Check {
    match access(path) {
        Ok(access) if !access.is_folder => no_folder(name, path),
        Ok(access) => {
            let is_readable = fs_err::read_dir(path).is_ok();
            let check = judge(name, path, access, is_readable, own());
            match check.status {
                Status::Ok => unwritable(name, path).unwrap_or(check),
                _ => check,
            }
        }
        Err(error) => unreadable(name, path, &error),
    }
}

fn is_folder(name: &str, path: &Path) -> Check {
    Check::failure(
        name,
        format!("`{}` is a folder", path.display()),
        "name the file with the secret",
    )
}

fn no_folder(name: &str, path: &Path) -> Check {
    Check::failure(
        name,
        format!("`{}` is not a folder", path.display()),
        "name another folder",
    )
}

/// Returns the failure of a folder in which this user cannot create files, for example on a read-only disk.
#[must_use]
pub fn unwritable(name: &str, folder: &Path) -> Option<Check> {
    // As the effective user, like all other accesses.
    let flags = AtFlags::AT_EACCESS;
    let access = AccessFlags::W_OK | AccessFlags::X_OK;
    let denied = faccessat(AT_FDCWD, folder, access, flags).err()?;
    Some(not_writable(name, folder, denied))
}

fn not_writable(name: &str, folder: &Path, error: Errno) -> Check {
    let shown = folder.display();
    let repair = match error {
        Errno::EROFS => format!("mount the disk of `{shown}` read-write, or name another folder"),
        _ => format!(
            "run this command as the user of the program, or fix the permissions of `{shown}`"
        ),
    };
    let message = format!("cannot write to `{shown}`: {}", io::Error::from(error));
    Check::failure(name, message, repair)
}

fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn access(path: &Path) -> io::Result<Access> {
    // Not with fs_err, whose error names the path a second time.
    let metadata = path.metadata()?;
    Ok(Access {
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        is_folder: metadata.is_dir(),
    })
}

fn unreadable(name: &str, path: &Path, error: &io::Error) -> Check {
    let path = path.display();
    let repair = match error.kind() {
        io::ErrorKind::NotFound => format!("create `{path}`, or correct the setting that names it"),
        _ => format!(
            "run this command as the user of the program, or fix the permissions of `{path}`"
        ),
    };
    Check::failure(name, format!("cannot read `{path}`: {error}"), repair)
}

/// Decides about a file that exists. Root can read everything, so its files may belong to anyone.
fn judge(name: &str, path: &Path, access: Access, is_readable: bool, own: u32) -> Check {
    let shown = path.display();
    let Access {
        mode,
        owner,
        is_folder,
    } = access;
    let closed = if is_folder { 700 } else { 600 };
    if !is_readable {
        return Check::failure(
            name,
            format!(
                "user {own} cannot read `{shown}`, which belongs to user {owner} (mode {mode:o})"
            ),
            format!("run this command as the user of the program, or run `chown {own} '{shown}'`"),
        );
    }
    let forbidden = if is_folder { OTHERS } else { TOO_MUCH };
    if mode & forbidden != 0 {
        return Check::failure(
            name,
            format!("`{shown}` is accessible to other users (mode {mode:o})"),
            format!("chmod {closed} '{shown}'"),
        );
    }
    if owner != own && owner != 0 && own != 0 {
        return Check::failure(
            name,
            format!("`{shown}` belongs to user {owner}, who can change it"),
            format!("chown {own} '{shown}'"),
        );
    }
    Check::ok(
        name,
        format!("`{shown}` is private (mode {mode:o}, user {owner})"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Report;

    #[test]
    fn judges_mode_and_owner() {
        let judge = |mode, owner, own, is_readable| {
            let access = Access {
                mode,
                owner,
                is_folder: false,
            };
            judge("token", Path::new("/token"), access, is_readable, own)
        };
        assert_eq!(judge(0o600, 7, 7, true).status, Status::Ok);
        assert_eq!(judge(0o400, 0, 7, true).status, Status::Ok);
        assert_eq!(judge(0o640, 0, 7, true).status, Status::Ok);
        assert_eq!(judge(0o660, 0, 7, true).status, Status::Failure);
        assert_eq!(judge(0o600, 7, 0, true).status, Status::Ok);
        let public = judge(0o644, 7, 7, true);
        assert_eq!(public.status, Status::Failure);
        assert_eq!(public.repair.unwrap(), "chmod 600 '/token'");
        let foreign = judge(0o600, 8, 7, true);
        assert_eq!(foreign.repair.unwrap(), "chown 7 '/token'");
        let closed = judge(0o600, 8, 7, false);
        assert!(closed.message.contains("cannot read"), "{closed:?}");
    }

    #[test]
    fn checks_match_snapshot() {
        let path = Path::new("/srv/token");
        let judged = |mode, owner, is_folder, is_readable| {
            let access = Access {
                mode,
                owner,
                is_folder,
            };
            judge("files", path, access, is_readable, 7)
        };
        let unreadable = |kind| unreadable("files", path, &io::Error::from(kind));
        let mut report = Report::new("buildbtw", "1.0.0");
        report.extend([
            judged(0o600, 7, false, true),
            judged(0o600, 8, false, false),
            judged(0o644, 7, false, true),
            judged(0o755, 7, true, true),
            judged(0o600, 8, false, true),
            is_folder("files", path),
            no_folder("files", path),
            unreadable(io::ErrorKind::NotFound),
            unreadable(io::ErrorKind::PermissionDenied),
            not_writable("files", path, Errno::EROFS),
            not_writable("files", path, Errno::EACCES),
        ]);
        insta::assert_snapshot!(report.to_text());
    }

    #[test]
    fn names_missing_and_unusable_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let missing = secret("token", &file);
        assert_eq!(missing.status, Status::Failure);
        assert!(missing.repair.unwrap().starts_with("create"));
        fs_err::write(&file, "x").unwrap();
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(secret("token", &file).status, Status::Ok);
        assert_eq!(private_folder("data", &file).status, Status::Failure);
        assert_eq!(secret("token", folder.path()).status, Status::Failure);
        fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let public = private_folder("data", folder.path());
        assert!(public.repair.unwrap().starts_with("chmod 700"));
        assert_eq!(unwritable("data", folder.path()), None);
    }

    #[test]
    fn names_folder_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let missing = unwritable("data", &folder.path().join("data")).unwrap();
        assert_eq!(missing.status, Status::Failure);
        let read_only = not_writable("data", Path::new("/data"), Errno::EROFS);
        assert!(
            read_only
                .message
                .starts_with("cannot write to `/data`: Read-only file system")
        );
        assert!(
            read_only
                .repair
                .unwrap()
                .starts_with("mount the disk of `/data` read-write")
        );
        let denied = not_writable("data", Path::new("/data"), Errno::EACCES);
        assert!(
            denied
                .repair
                .unwrap()
                .starts_with("run this command as the user")
        );
    }
}
