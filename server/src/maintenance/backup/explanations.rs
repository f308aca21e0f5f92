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

/// Explains that the path of the copy cannot be a parameter of a query.
pub(super) fn copy_not_named(copy: &Path) -> Explanation {
    Explanation::with_hint(
        format!(
            "cannot copy the database to `{}`: the path is not UTF-8",
            copy.display()
        ),
        "rename the data folder, and set --data-dir",
    )
}

/// Explains that the copy of the database cannot be opened.
pub(super) fn copy_unreadable(error: &sqlx::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot read the copy of the database: {error}"),
        "run `buildbtw-server check`; if the file is damaged, restore the newest backup",
    )
}

/// Explains that no buildbtw-server has set the database up.
pub(super) fn version_unreadable(error: &sqlx::Error) -> Explanation {
    Explanation::with_hint(
        format!("cannot read the version of the database: {error}"),
        "set --data-dir to that of the server, or start the server first, which sets it up",
    )
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

/// Explains that the description of a backup is damaged.
pub(super) fn damaged_manifest(manifest: &str, error: &serde_json::Error) -> Explanation {
    Explanation::with_hint(
        format!("`{manifest}` is not that of a backup: {error}"),
        ANOTHER,
    )
}

/// Names the file that could not be extracted.
pub(super) fn not_extracted(target: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot extract `{}`", target.display()))
}

/// Names the folder whose content might not survive a power failure.
pub(super) fn not_durable(folder: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot make `{}` durable", folder.display()))
}

/// Explains that files cannot be copied into the data folder. What is explained already stays as it is.
pub(super) fn not_restored(data: &Path, error: anyhow::Error) -> anyhow::Error {
    if error.is::<Explanation>() {
        return error;
    }
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind));
    let hint = match kind {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            "free space on the disk of the data folder, or choose another --data-dir"
        }
        _ => "check the disks of the backup and of the data folder, then restore it again",
    };
    let message = format!("cannot restore into `{}`: {error:#}", data.display());
    Explanation::with_hint(message, hint).into()
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
mod tests;
