//! Explains why a user cannot run a program: the kernel only reports "permission denied", and does not say
//! which folder on the path denies access.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use buildbtw_model::PermissionDenied;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Uid, User};
use std::os::unix::process::CommandExt as _;

/// Checks access with the kernel's own rules, as another user.
const TEST: &str = "/usr/bin/test";

/// An unprivileged user as whom programs are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// The user.
    pub uid: u32,
    /// The user's only group.
    pub gid: u32,
}

/// Explains why a user (`None`: the user of this process) is not allowed to run a program or to enter a folder, with
/// the first folder on the path that denies access. Returns `None` if permissions are not the cause.
#[must_use]
pub fn permission_denied(path: &Path, user: Option<RunAs>) -> Option<PermissionDenied> {
    if is_missing(path) || may_execute(path, user) {
        return None;
    }
    let name = name_of(user);
    let reason = match first_closed_folder(path, user) {
        Some(folder) => closed(&folder, &name),
        None if path.is_file() && is_noexec(path) => noexec(),
        None => not_allowed(&name, "execute"),
    };
    Some(PermissionDenied::new(path, reason))
}

/// Explains in the same way why the user of this process is not allowed to read a file, after the kernel has denied it.
#[must_use]
pub fn reading_denied(path: &Path) -> PermissionDenied {
    let name = name_of(None);
    let reason = match first_closed_folder(path, None) {
        Some(folder) => closed(&folder, &name),
        None => not_allowed(&name, "read"),
    };
    PermissionDenied::new(path, reason)
}

fn closed(folder: &Path, name: &str) -> String {
    format!(
        "its folder {} is not accessible to {name}",
        folder.display()
    )
}

fn noexec() -> String {
    "its file system is mounted with noexec".to_owned()
}

fn not_allowed(name: &str, to: &str) -> String {
    format!("{name} is not allowed to {to} it")
}

fn is_missing(path: &Path) -> bool {
    let error = path.metadata().err();
    error
        .is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

fn may_execute(path: &Path, user: Option<RunAs>) -> bool {
    let mut command = Command::new(TEST);
    command
        .arg("-x")
        .arg(path)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(RunAs { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    // If this cannot be checked, permissions are not blamed.
    command.status().map_or(true, |status| status.success())
}

/// Returns the outermost folder that the user cannot enter, on the path or on the path of its link target.
fn first_closed_folder(path: &Path, user: Option<RunAs>) -> Option<PathBuf> {
    let target = path.canonicalize().ok();
    [Some(path), target.as_deref()]
        .into_iter()
        .flatten()
        .find_map(|path| {
            let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
            folders.reverse();
            folders
                .into_iter()
                .filter(|folder| !folder.as_os_str().is_empty())
                .find(|folder| !may_execute(folder, user))
                .map(Path::to_owned)
        })
}

fn is_noexec(path: &Path) -> bool {
    statvfs(path).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_NOEXEC))
}

fn name_of(user: Option<RunAs>) -> String {
    let uid = user.map_or_else(Uid::effective, |user| Uid::from_raw(user.uid));
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("user `{}`", user.name),
        _ => format!("user {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    const NOBODY: Option<RunAs> = Some(RunAs {
        uid: 65534,
        gid: 65534,
    });

    #[test]
    fn reasons_match_snapshot() {
        let reasons = [
            closed(Path::new("/srv"), "user `builder`"),
            noexec(),
            not_allowed("user `builder`", "execute"),
            not_allowed("user `builder`", "read"),
        ];
        let program = Path::new("/srv/bin/bwrap");
        let denied = reasons.map(|reason| PermissionDenied::new(program, reason).to_string());
        insta::assert_snapshot!(denied.join("\n"));
    }

    #[test]
    fn names_first_folder_the_user_cannot_enter() {
        if !Uid::effective().is_root() {
            return;
        }
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        chmod(folder.path(), 0o755);
        let closed = folder.path().join("closed");
        let inner = closed.join("inner");
        fs_err::create_dir_all(&inner).unwrap();
        let program = inner.join("program");
        fs_err::write(&program, "#!/bin/sh\n").unwrap();
        chmod(&program, 0o755);
        assert_eq!(permission_denied(&program, NOBODY), None);
        chmod(&closed, 0o700);
        chmod(&inner, 0o700);
        let expected = format!(
            "its folder {} is not accessible to user `nobody`",
            closed.display()
        );
        let message = permission_denied(&program, NOBODY).unwrap().to_string();
        assert_eq!(
            message,
            format!("permission denied: {} ({expected})", program.display())
        );
        // The target of a link is checked as well.
        let link = folder.path().join("link");
        symlink(&program, &link).unwrap();
        let message = permission_denied(&link, NOBODY).unwrap().to_string();
        assert!(message.contains(&expected), "{message}");
        assert!(message.starts_with(&format!("permission denied: {} ", link.display())));
        let unknown = Some(RunAs {
            uid: 54321,
            gid: 54321,
        });
        let message = permission_denied(&program, unknown).unwrap().to_string();
        assert!(
            message.contains("not accessible to user 54321"),
            "{message}"
        );
        assert_eq!(permission_denied(&program, None), None);
        assert_eq!(permission_denied(&folder.path().join("none"), NOBODY), None);
    }

    #[test]
    fn distinguishes_closed_folder_from_non_executable_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        chmod(&file, 0o644);
        let message = permission_denied(&file, None).unwrap().to_string();
        assert!(
            message.contains("is not allowed to execute it"),
            "{message}"
        );
        assert_eq!(permission_denied(folder.path(), None), None);
    }
}
