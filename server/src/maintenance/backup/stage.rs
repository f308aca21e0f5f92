//! Collects the files of a backup below the data folder, as hard links, so that nothing has to wait while they are
//! written elsewhere.
//!
//! The server may be running. Packages never change, and the database is copied first, so all that can go wrong is
//! that a file is removed between the two. A server of this version removes no repositories during a backup. A server
//! of an earlier version may, but it removes rows before files: a new copy of the database no longer refers to such a
//! file, and a file that a second copy refers to and that is missing again is lost.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_model::AttemptId;
use buildbtw_telemetry::spawn_blocking_named;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqlitePool};
use tokio_util::sync::CancellationToken;

use crate::db::{MIGRATOR, attempts, packages};
use crate::logs::Logs;
use crate::maintenance::uploads::uploaded;
use crate::repos::{Repos, RepositoryKey};
use crate::run::DATABASE_FILE;
use crate::time::Clock;

use super::tree::{create_parent, files, restrict};
use super::{explanations, stop};

/// How often files may disappear before the backup is given up.
const TRIES: usize = 10;
/// How long the copy waits for a lock of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// How many attempts are looked up at once.
const ATTEMPTS_AT_ONCE: usize = 4_000;

/// The collected files.
pub(super) struct Staged {
    /// When the database was copied.
    pub(super) at: Timestamp,
    /// Files that the database refers to and that the data folder does not have.
    pub(super) lost: Vec<PathBuf>,
}

/// A file that the database refers to.
struct Wanted {
    /// Its path in the backup, relative.
    path: PathBuf,
    /// Where it may be.
    places: Vec<PathBuf>,
    kind: Kind,
}

/// How a file is taken into the backup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A package: it is linked, because it never changes.
    Package,
    /// The same for an attempt that had not ended. If it is missing, the attempt has failed meanwhile or was deleted,
    /// so that no worker reports it.
    Upload,
    /// A file of an attempt that has ended; there may be none.
    Closed,
    /// A file of an attempt that still writes to it: it is copied. There may be none.
    Growing,
}

/// Collects the files of a backup of the data folder in `folder`.
///
/// # Errors
/// When the database cannot be copied, a file cannot be linked, files disappear faster than they are linked, or `stop`
/// is cancelled.
pub(super) async fn stage(
    data: &Path,
    folder: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<Staged> {
    let copy = folder.join(DATABASE_FILE);
    let mut missing = BTreeSet::new();
    for _ in 0..TRIES {
        let at = Clock::default().now().into();
        stop::until(stop, copy_database(&data.join(DATABASE_FILE), &copy)).await?;
        let wanted = wanted(data, &copy).await?;
        let (to, before, stop) = (folder.to_owned(), missing, stop.clone());
        let linked = spawn_blocking_named("link files", move || {
            let missing = take_all(&wanted, &to, &stop)?;
            if missing.is_subset(&before) {
                remove_others(&wanted, &to)?;
                return anyhow::Ok((missing, true));
            }
            Ok((missing, false))
        });
        let (now_missing, is_complete) = linked.await??;
        if is_complete {
            let lost = now_missing.into_iter().collect();
            return Ok(Staged { at, lost });
        }
        missing = now_missing;
    }
    anyhow::bail!(explanations::files_removed(TRIES))
}

/// Copies the database to a new file, which replaces an earlier copy.
async fn copy_database(database: &Path, copy: &Path) -> anyhow::Result<()> {
    match fs_err::remove_file(copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut connection = SqliteConnectOptions::new()
        .filename(database)
        .busy_timeout(BUSY_TIMEOUT)
        .connect()
        .await
        .map_err(|error| explanations::database_not_copied(database, &error))?;
    let name = copy
        .to_str()
        .ok_or_else(|| explanations::copy_not_named(copy))?;
    // VACUUM INTO reads one consistent state despite concurrent writes (SQLite, lang_vacuum).
    sqlx::query("vacuum into ?")
        .bind(name)
        .execute(&mut connection)
        .await
        .map_err(|error| explanations::database_not_copied(database, &error))?;
    sqlx::Connection::close(connection).await?;
    restrict(copy)?;
    Ok(())
}

/// Opens a copy of the database without changing it.
async fn open_copy(copy: &Path) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(copy)
        .read_only(true)
        .immutable(true);
    let reader = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .map_err(|error| explanations::copy_unreadable(&error))?;
    let found: Option<i64> = sqlx::query_scalar("select max(version) from _sqlx_migrations")
        .fetch_one(&reader)
        .await
        .map_err(|error| explanations::version_unreadable(&error))?;
    let own = MIGRATOR.iter().map(|migration| migration.version).max();
    anyhow::ensure!(found == own, explanations::other_version());
    Ok(reader)
}

/// Returns the files that a copy of the database refers to.
async fn wanted(data: &Path, copy: &Path) -> anyhow::Result<Vec<Wanted>> {
    let reader = open_copy(copy).await?;
    let (repos, logs) = (Repos::new(data)?, Logs::new(data)?);
    let mut wanted = packages_of(&reader, data, &repos).await?;
    wanted.extend(logs_of(&reader, data, &logs).await?);
    reader.close().await;
    Ok(wanted)
}

async fn packages_of(
    reader: &SqlitePool,
    data: &Path,
    repos: &Repos,
) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    // First, because these move.
    for package in uploaded(reader, repos).await? {
        wanted.push(Wanted {
            path: package.path.strip_prefix(data)?.to_owned(),
            places: vec![package.path, package.published],
            kind: match package.is_accepted {
                true => Kind::Package,
                false => Kind::Upload,
            },
        });
    }
    for package in packages::published(reader).await? {
        let key = RepositoryKey {
            namespace: package.namespace,
            iteration: package.iteration,
            architecture: package.architecture,
        };
        let place = repos.folder(&key).join(package.file_name.as_str());
        wanted.push(Wanted {
            path: place.strip_prefix(data)?.to_owned(),
            places: vec![place],
            kind: Kind::Package,
        });
    }
    Ok(wanted)
}

async fn logs_of(reader: &SqlitePool, data: &Path, logs: &Logs) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    let all: Vec<AttemptId> = logs.all()?;
    for ids in all.chunks(ATTEMPTS_AT_ONCE) {
        for attempt in attempts::by_ids(reader, ids).await? {
            let kind = match attempt.status.is_final() {
                true => Kind::Closed,
                false => Kind::Growing,
            };
            let [log, pkgbuild, _] = logs.paths(attempt.id);
            for place in [log, pkgbuild] {
                wanted.push(Wanted {
                    path: place.strip_prefix(data)?.to_owned(),
                    places: vec![place],
                    kind,
                });
            }
        }
    }
    Ok(wanted)
}

/// Takes files into the backup. Returns the packages that are in none of their places.
fn take_all(
    wanted: &[Wanted],
    folder: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut missing = BTreeSet::new();
    for file in wanted {
        stop::check(stop)?;
        if !take(file, &folder.join(&file.path))? && file.kind == Kind::Package {
            missing.insert(file.path.clone());
        }
    }
    Ok(missing)
}

/// Takes a file into the backup. Returns whether it exists.
fn take(file: &Wanted, target: &Path) -> io::Result<bool> {
    if target.try_exists()? {
        for place in &file.places {
            if is_same(place, target)? {
                return Ok(true);
            }
        }
        // A log that has grown since, or another file of the same name.
        fs_err::remove_file(target)?;
    }
    create_parent(target)?;
    for place in &file.places {
        let taken = match file.kind {
            Kind::Package | Kind::Upload | Kind::Closed => link(place, target),
            Kind::Growing => copy_file(place, target),
        };
        match taken {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            taken => return taken.map(|()| true),
        }
    }
    Ok(false)
}

/// Returns whether two paths name the same file.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let one = match fs_err::metadata(one) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let other = fs_err::metadata(other)?;
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Links a file, or copies it where the file system refuses the link: between two disks, or for more links than it
/// supports.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match fs_err::hard_link(from, to) {
        Err(error)
            if matches!(
                error.kind(),
                CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
            ) =>
        {
            copy_file(from, to)
        }
        linked => linked,
    }
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::copy(from, to)?;
    restrict(to)
}

/// Removes what an earlier try took and the last copy of the database does not refer to.
fn remove_others(wanted: &[Wanted], folder: &Path) -> anyhow::Result<()> {
    let known: BTreeSet<&Path> = wanted.iter().map(|file| file.path.as_path()).collect();
    for path in files(folder)? {
        if path != Path::new(DATABASE_FILE) && !known.contains(path.as_path()) {
            fs_err::remove_file(folder.join(path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &str, places: &[PathBuf], kind: Kind) -> Wanted {
        Wanted {
            path: path.into(),
            places: places.to_vec(),
            kind,
        }
    }

    #[test]
    fn takes_published_package_that_was_an_upload_before() {
        let folder = tempfile::tempdir().unwrap();
        let (data, to) = (folder.path().join("data"), folder.path().join("to"));
        fs_err::create_dir_all(&data).unwrap();
        fs_err::write(data.join("published"), "package").unwrap();
        let places = [data.join("upload"), data.join("published")];
        let all = [
            wanted("uploads/1/a", &places, Kind::Package),
            wanted("uploads/1/b", &places[..1], Kind::Package),
            wanted("logs/1.log", &places[..1], Kind::Closed),
        ];
        let missing = take_all(&all, &to, &CancellationToken::new()).unwrap();
        assert_eq!(missing, [PathBuf::from("uploads/1/b")].into());
        let taken = fs_err::read_to_string(to.join("uploads/1/a")).unwrap();
        assert_eq!(taken, "package");
        remove_others(&all[1..], &to).unwrap();
        assert!(files(&to).unwrap().is_empty());
    }

    #[test]
    fn does_not_share_logs_that_grow() {
        use io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let (log, to) = (folder.path().join("log"), folder.path().join("to"));
        fs_err::write(&log, "one\n").unwrap();
        let growing = [wanted(
            "logs/1.log",
            std::slice::from_ref(&log),
            Kind::Growing,
        )];
        take_all(&growing, &to, &CancellationToken::new()).unwrap();
        let mut file = fs_err::OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(b"two\n").unwrap();
        let read = || fs_err::read_to_string(to.join("logs/1.log")).unwrap();
        assert_eq!(read(), "one\n");
        // A later try, after the attempt has ended.
        let closed = [wanted(
            "logs/1.log",
            std::slice::from_ref(&log),
            Kind::Closed,
        )];
        take_all(&closed, &to, &CancellationToken::new()).unwrap();
        assert_eq!(read(), "one\ntwo\n");
    }
}
