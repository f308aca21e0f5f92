//! The data folder, the files with secrets, and the disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use buildbtw_doctor::{Check, disk, files};
use buildbtw_model::Explanation;

use crate::cli::RunArgs;
use crate::disk::{Disk, MIN_FREE_SPACE};
use crate::owner::{self, Depth, Foreign, Owner};
use crate::run::DATABASE_FILE;

const NAME: &str = "data folder";
/// The setting that controls the reserve.
const RESERVE: &str = "--disk-reserve-mib";
/// The folders in the data folder that the server creates at its first start.
const FOLDERS: [&str; 2] = ["repos", "logs"];

/// Returns the files with secrets that the settings name, with the names of their settings.
pub(super) fn secret_files(args: &RunArgs) -> Vec<(&'static str, PathBuf)> {
    let gitlab = &args.gitlab;
    let files = [
        ("--gitlab-token-file", &gitlab.gitlab_token_file),
        (
            "--gitlab-webhook-secret-file",
            &gitlab.gitlab_webhook_secret_file,
        ),
        (
            "--gitlab-webhook-signing-token-file",
            &gitlab.gitlab_webhook_signing_token_file,
        ),
    ];
    let files = files.into_iter();
    files
        .filter_map(|(setting, path)| Some((setting, path.clone()?)))
        .collect()
}

/// Checks permissions and owners. Blocking.
pub(super) fn check_files(data: &Path, secrets: &[(&'static str, PathBuf)]) -> Vec<Check> {
    let mut checks = Vec::new();
    // A folder that this user cannot see is not one that does not exist.
    if data.try_exists().unwrap_or(true) {
        checks.push(files::private_folder(NAME, data));
        if fs_err::read_dir(data).is_ok() {
            let has_database = data.join(DATABASE_FILE).exists();
            checks.extend(FOLDERS.map(|name| check_folder(&data.join(name), has_database)));
        }
        checks.extend(check_owners(data));
        let token = data.join("admin-token");
        // People move it away once they have other tokens.
        if token.exists() {
            checks.push(files::secret("admin token", &token));
        }
    } else {
        let blocked = files::unwritable(NAME, existing(data));
        checks.push(blocked.unwrap_or_else(|| no_folder(data)));
    }
    let secrets = secrets.iter();
    checks.extend(secrets.map(|(setting, path)| files::secret(setting, path)));
    checks
}

/// Returns the warning about a data folder that does not exist.
pub(super) fn no_folder(data: &Path) -> Check {
    Check::warning(
        NAME,
        format!("`{}` does not exist", data.display()),
        "start the server, which creates it, or set --data-dir to that of the server",
    )
}

/// Checks that everything belongs to the owner of the data folder. Returns nothing where the folder cannot be read, which
/// another check reports.
fn check_owners(data: &Path) -> Option<Check> {
    let owner = Owner::of(data).ok()?;
    let foreign = owner::foreign(data, Depth::All).ok()?;
    Some(judge_owners(data, owner, &foreign))
}

/// Judges the files in the data folder that do not belong to its owner.
pub(super) fn judge_owners(data: &Path, owner: Owner, foreign: &[Foreign]) -> Check {
    const NAME: &str = "owners of files";
    let Some(first) = foreign.first() else {
        let message = format!("everything belongs to user {}", owner.user);
        return Check::ok(NAME, message);
    };
    let others = match foreign.len() - 1 {
        0 => String::new(),
        1 => "; 1 other file or folder is foreign, too".to_owned(),
        others => format!("; {others} other files or folders are foreign, too"),
    };
    let message = format!(
        "`{}` belongs to user {}, but the data folder to user {}{others}",
        first.path.display(),
        first.user,
        owner.user,
    );
    Check::failure(NAME, message, owner::command(data, owner))
}

/// Checks a folder that the server creates after its database.
pub(super) fn check_folder(path: &Path, has_database: bool) -> Check {
    let name = format!("folder {}", path.file_name().unwrap_or_default().display());
    match fs_err::read_dir(path) {
        Ok(_) => Check::ok(name, format!("`{}` can be read", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound && !has_database => {
            Check::skipped(name, "the server creates it at its start")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Check::warning(
            name,
            format!("`{}` does not exist, and the database does", path.display()),
            "start the server, which creates it; `buildbtw-server check` finds missing packages",
        ),
        Err(error) => Check::failure(
            name,
            error.to_string(),
            "run this command as the server's user",
        ),
    }
}

/// Returns the folder itself, or the nearest one above it that exists.
fn existing(data: &Path) -> &Path {
    let existing = data.ancestors().find(|folder| folder.exists());
    // A relative path ends at the working directory.
    existing
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Compares the free space with the reserve. Blocking.
pub(super) fn check_disk(data: &Path, reserve_mib: Option<u32>) -> Vec<Check> {
    let folder = existing(data);
    let measured = Disk::open(folder, reserve_mib).and_then(|disk| Ok((disk.space()?, disk)));
    let check = match measured {
        Ok((space, disk)) => {
            let reserve = disk.reserve().max(MIN_FREE_SPACE);
            disk::check("disk", folder, space.available, reserve, RESERVE)
        }
        Err(error) => unmeasured(&error),
    };
    vec![check]
}

/// Returns the failure of a disk whose space is unknown.
pub(super) fn unmeasured(error: &anyhow::Error) -> Check {
    let explanation = Explanation::of_error(error.as_ref());
    Check::failed("disk", explanation, "check the disk of the data folder")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use buildbtw_doctor::Status;

    use super::*;

    #[test]
    fn names_public_data_folder_and_missing_folders() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let missing = check_files(&data, &[]);
        assert_eq!(missing[0].status, Status::Warning);
        fs_err::create_dir_all(data.join("repos")).unwrap();
        fs_err::set_permissions(&data, PermissionsExt::from_mode(0o755)).unwrap();
        let found = check_files(
            &data,
            &[("--gitlab-token-file", folder.path().join("token"))],
        );
        let states: Vec<_> = found
            .iter()
            .map(|check| (check.name.as_str(), check.status))
            .collect();
        let expected = [
            ("data folder", Status::Failure),
            ("folder repos", Status::Ok),
            ("folder logs", Status::Skipped),
            ("owners of files", Status::Ok),
            ("--gitlab-token-file", Status::Failure),
        ];
        assert_eq!(states, expected);
        fs_err::write(data.join(DATABASE_FILE), "").unwrap();
        let lost = check_folder(&data.join("logs"), true);
        assert_eq!(lost.status, Status::Warning);
        let file = check_folder(&data.join(DATABASE_FILE), true);
        assert_eq!(file.status, Status::Failure);
    }

    #[test]
    fn names_files_of_another_user() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        fs_err::create_dir_all(data.join("repos/first")).unwrap();
        if std::os::unix::fs::chown(data.join("repos/first"), Some(12_345), None).is_err() {
            eprintln!("SKIPPED: only root can change the owner of files");
            return;
        }
        let check = check_owners(data).unwrap();
        assert_eq!(check.status, Status::Failure);
        let text = "repos/first` belongs to user 12345";
        assert!(check.message.contains(text), "{check:?}");
        assert!(check.repair.unwrap().starts_with("chown --recursive 0:0"));
    }

    #[test]
    fn compares_disk_with_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let check = |mib| check_disk(folder.path(), Some(mib)).remove(0);
        let larger_than_disk = check(u32::MAX);
        assert_eq!(larger_than_disk.status, Status::Failure);
        assert!(larger_than_disk.repair.unwrap().contains("smaller reserve"));
        let space = buildbtw_metrics::space(folder.path()).unwrap();
        let total_mib = u32::try_from(space.total >> 20).unwrap();
        if space.available >> 20 < u64::from(total_mib) {
            let short = check(total_mib);
            assert_eq!(short.status, Status::Failure);
            assert!(short.message.contains("less than its reserve"), "{short:?}");
        }
    }
}
