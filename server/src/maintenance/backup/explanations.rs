//! Why a backup cannot be written or restored, and what to do about it.

use std::fmt::Display;
use std::io;
use std::path::Path;

use buildbtw_model::Explanation;

use crate::error::{FULL, database_code};

/// The hint for a backup that cannot be used.
const ANOTHER: &str = "restore another backup";

/// Explains that an archive cannot be written to a terminal.
#[must_use]
pub fn written_to_terminal() -> Explanation {
    Explanation::with_hint(
        "a terminal cannot take an archive",
        "redirect the output, or name a folder",
    )
}

/// Explains that an archive cannot be read from a terminal.
#[must_use]
pub fn read_from_terminal() -> Explanation {
    Explanation::with_hint(
        "a terminal is not an archive",
        "redirect the input, or name a backup",
    )
}

/// Explains that backups overwrite nothing.
pub(super) fn exists(target: &Path) -> Explanation {
    Explanation::with_hint(
        format!("`{}` already exists", target.display()),
        "choose another path: backups overwrite nothing",
    )
}

/// Explains that the folder of a backup cannot be used.
pub(super) fn not_writable(target: &Path, why: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("cannot write the backup `{}`: {why}", target.display()),
        "name a path in a folder that exists and is writable",
    )
}

/// Explains that a backup cannot be collected next to its place.
pub(super) fn temporary_folder_removed(target: &Path) -> Explanation {
    not_writable(target, "another program removes its temporary folder")
}

/// Explains that a backup is not safe in the data folder.
pub(super) fn target_in_data(target: &Path, data: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "`{}` is inside the data folder `{}`",
            target.display(),
            data.display()
        ),
        "choose a path outside of it: what the server does not know there is removed",
    )
}

/// Explains that a restore would remove its backup.
pub(super) fn source_in_data(source: &Path, data: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "the backup `{}` is inside the data folder `{}`",
            source.display(),
            data.display()
        ),
        "move it out of there first",
    )
}

/// Explains that a restore would write into its backup.
pub(super) fn data_in_source(data: &Path, source: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "the data folder `{}` is inside the backup `{}`",
            data.display(),
            source.display()
        ),
        "choose another --data-dir",
    )
}

/// Explains that the backup cannot be copied to another disk. An interruption stays as it is.
pub(super) fn not_copied(target: &Path, error: anyhow::Error) -> anyhow::Error {
    if error.is::<Explanation>() {
        return error;
    }
    not_writable(target, format_args!("{error:#}"))
        .hint("free space there, or choose a path on another disk")
        .into()
}

/// Explains that files cannot be collected in the data folder.
pub(super) fn not_collected(data: &Path, error: &io::Error) -> Explanation {
    let message = format!("cannot collect the backup in `{}`: {error}", data.display());
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FREE_SPACE,
        io::ErrorKind::ReadOnlyFilesystem => {
            "make its disk writable: the copy of the database is written there first"
        }
        _ => "run the command as the owner of the data folder or as root",
    };
    Explanation::with_hint(message, hint)
}

/// The hint for a full disk.
const FREE_SPACE: &str =
    "free space on the disk of the data folder: the database is copied there first";
/// SQLITE_CORRUPT and SQLITE_NOTADB (SQLite, rescode).
const DAMAGED: [i64; 2] = [11, 26];

/// Explains that the database cannot be copied.
pub(super) fn database_not_copied(database: &Path, error: &sqlx::Error) -> Explanation {
    let message = format!("cannot copy the database `{}`: {error}", database.display());
    match database_code(error) {
        Some(FULL) => Explanation::with_hint(message, FREE_SPACE),
        Some(code) if DAMAGED.contains(&code) => Explanation::with_hint(
            message,
            "run `buildbtw-server check`; if the file is damaged, restore the newest backup",
        ),
        _ => Explanation::with_hint(
            message,
            "run the command as the owner of the data folder or as root",
        ),
    }
}

/// Explains that an archive cannot be written.
pub(super) fn archive_not_written(error: &io::Error) -> Explanation {
    let hint = match error.kind() {
        io::ErrorKind::BrokenPipe => "find out why the program that reads the archive has ended",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free space there, or write the archive to another disk"
        }
        _ => "write the archive elsewhere",
    };
    Explanation::with_hint(format!("cannot write the archive: {error}"), hint)
}

/// Explains that a signal ended the backup.
pub(super) fn interrupted() -> Explanation {
    Explanation::with_hint("the backup was interrupted", "run it again")
}

/// Explains that backups of a data folder exclude each other.
pub(super) fn is_running(data: &Path) -> Explanation {
    Explanation::with_hint(
        format!("another backup of `{}` is running", data.display()),
        "wait until it has finished",
    )
}

/// Explains that files were removed faster than they were collected.
pub(super) fn files_removed(tries: usize) -> Explanation {
    Explanation::with_hint(
        format!("files were removed {tries} times while they were collected"),
        "back up with the version that runs the server, or when fewer namespaces are deleted",
    )
}

/// Explains that the database was not migrated to this version.
pub(super) fn other_version() -> Explanation {
    Explanation::with_hint(
        "another version of buildbtw-server wrote the database",
        "back it up with the version that runs the server, or start the server with this one first",
    )
}

/// Explains that the path of a backup cannot be opened.
pub(super) fn not_opened(path: &Path, error: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("cannot open the backup `{}`: {error}", path.display()),
        "name a folder or an archive that `buildbtw-server backup` wrote",
    )
}

/// Explains an error of an archive; at its first entry, the file probably is not an archive.
pub(super) fn unreadable_archive(is_first: bool, error: &io::Error) -> Explanation {
    let text = error.to_string();
    // A text about a wrong number has the bytes of the file.
    let is_readable = |text: &str| {
        let is_wrong = |char: char| char.is_control() || char == char::REPLACEMENT_CHARACTER;
        !text.contains(is_wrong)
    };
    match is_first {
        true if error.raw_os_error().is_some() => {
            Explanation::with_hint(format!("cannot read the archive: {text}"), ANOTHER)
        }
        true => foreign_archive("it is not a tar archive"),
        false => {
            let why = match is_readable(&text) {
                true => text.as_str(),
                false => "an entry has no valid header",
            };
            Explanation::with_hint(
                format!("the tar archive is damaged or incomplete: {why}"),
                ANOTHER,
            )
        }
    }
}

/// Explains that an archive is compressed. `program` decompresses it.
pub(super) fn compressed_archive(program: &str) -> Explanation {
    Explanation::with_hint(
        format!("the archive is compressed with {program}"),
        format!("decompress it first: `{program} -dc FILE | buildbtw-server restore -`"),
    )
}

/// Explains that the database of a backup is damaged.
pub(super) fn damaged_database(finding: &str) -> Explanation {
    Explanation::with_hint(
        format!("the database of the backup is damaged ({finding})"),
        ANOTHER,
    )
}

/// Explains that an archive has other content.
pub(super) fn foreign_archive(why: impl Display) -> Explanation {
    Explanation::with_hint(
        format!("the archive is not a backup: {why}"),
        "name an archive that `buildbtw-server backup` wrote",
    )
}

/// Explains that an archive contains a folder or device at the path of a file.
pub(super) fn no_file(path: &Path) -> Explanation {
    foreign_archive(format_args!("`{}` is not a file", path.display()))
}

/// Explains that a folder lacks the file that every backup has.
pub(super) fn foreign_folder(folder: &Path, manifest: &str) -> Explanation {
    Explanation::with_hint(
        format!(
            "`{}` is not a backup: it has no `{manifest}`",
            folder.display()
        ),
        "name a folder that `buildbtw-server backup` wrote",
    )
}

/// Explains that a folder has files that no backup has.
pub(super) fn foreign_file(path: &Path) -> Explanation {
    Explanation::with_hint(
        format!("`{}` is not part of a backup", path.display()),
        "remove it, or restore another backup",
    )
}

/// Explains that a backup has another format. `version` is that of the program that wrote it.
pub(super) fn other_format(found: u32, own: u32, version: &str) -> Explanation {
    Explanation::with_hint(
        format!("the backup has format {found}, but this program reads format {own}"),
        format!("restore it with buildbtw-server {version}"),
    )
}

/// Explains that files of a backup are missing.
pub(super) fn missing_files(found: usize, expected: u64) -> Explanation {
    Explanation::with_hint(
        format!("the backup is incomplete: it has {found} files instead of {expected}"),
        ANOTHER,
    )
}

/// Explains that the end of a backup is missing.
pub(super) fn no_manifest(manifest: &str) -> Explanation {
    Explanation::with_hint(
        format!("the backup is incomplete: `{manifest}`, its last file, is missing"),
        ANOTHER,
    )
}

/// Explains that a backup lacks the database.
pub(super) fn no_database() -> Explanation {
    Explanation::with_hint("the backup has no database", ANOTHER)
}

/// Explains that the data folder has files.
pub(super) fn not_empty(data: &Path, name: impl Display) -> Explanation {
    Explanation::with_hint(
        format!(
            "the data folder `{}` is not empty: it contains `{name}`",
            data.display()
        ),
        "move its content aside, or choose another --data-dir",
    )
}

/// Explains that another program uses the database before it is complete.
pub(super) fn database_in_use() -> Explanation {
    Explanation::with_hint(
        "another program has opened the restored database",
        "restore it again once that program has exited",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_match_snapshot() {
        let (data, target) = (Path::new("data"), Path::new("/srv/backup"));
        let error = io::Error::other("failed to read entire block");
        let manifest = "backup.json";
        let explanations = [
            written_to_terminal(),
            read_from_terminal(),
            exists(target),
            not_writable(target, "the folder `/srv` does not exist"),
            temporary_folder_removed(target),
            not_copied(target, anyhow::anyhow!("the disk is full"))
                .downcast()
                .unwrap(),
            target_in_data(target, data),
            source_in_data(target, data),
            data_in_source(data, target),
            not_collected(data, &io::ErrorKind::ReadOnlyFilesystem.into()),
            not_collected(data, &io::ErrorKind::StorageFull.into()),
            not_collected(data, &io::ErrorKind::PermissionDenied.into()),
            database_not_copied(data, &sqlx::Error::WorkerCrashed),
            archive_not_written(&io::ErrorKind::BrokenPipe.into()),
            archive_not_written(&io::ErrorKind::StorageFull.into()),
            archive_not_written(&error),
            interrupted(),
            is_running(data),
            files_removed(10),
            other_version(),
            not_opened(target, "No such file or directory (os error 2)"),
            unreadable_archive(true, &io::Error::from_raw_os_error(5)),
            unreadable_archive(true, &error),
            unreadable_archive(false, &error),
            unreadable_archive(
                false,
                &io::Error::other("numeric field was not a number: \u{1}"),
            ),
            compressed_archive("gzip"),
            damaged_database("database disk image is malformed"),
            foreign_archive("it contains `etc/passwd`"),
            no_file(Path::new("repos/set")),
            foreign_folder(target, manifest),
            foreign_file(target),
            other_format(2, 1, "2.0.0"),
            missing_files(10, 12),
            no_manifest(manifest),
            no_database(),
            not_empty(data, "buildbtw.sqlite3"),
            database_in_use(),
        ];
        let text: Vec<String> = explanations.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
