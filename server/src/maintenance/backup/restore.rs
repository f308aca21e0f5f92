//! `restore`: puts a backup into an empty data folder, and verifies it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use buildbtw_telemetry::spawn_blocking_named;
use jiff::Timestamp;

use crate::db::OpenError;
use crate::maintenance::check::{Finding, complete};
use crate::owner::{Depth, LOST_AND_FOUND, give_to_owner, unusable};
use crate::private;
use crate::repos::sync_folder;
use crate::run::{DATABASE_FILE, RESTORING_FILE, lock};

use super::manifest::Manifest;
use super::tree::{MANIFEST_FILE, Totals, sync_all};
use super::{archive, explanations, places, tree};

/// The file that another process locks to use the folder.
const LOCK_FILE: &str = "lock";
/// What a restore creates besides the lock, the database last: as long as it is there, a restore was interrupted.
const CREATED: [&str; 10] = [
    MANIFEST_FILE,
    "logs",
    "repos",
    "uploads",
    "trash",
    "staging",
    "rendered",
    "restoring.sqlite3-wal",
    "restoring.sqlite3-shm",
    RESTORING_FILE,
];

/// Where a backup is.
pub enum Source {
    /// A folder that `backup` wrote.
    Folder(PathBuf),
    /// A tar archive that `backup` wrote.
    Archive {
        /// Its content.
        input: Box<dyn Read + Send>,
        /// Where it is, unless it comes through a pipe.
        path: Option<PathBuf>,
    },
}

impl Source {
    /// Opens the backup at a path.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // Not with fs_err, whose error names the path a second time.
        let metadata = path
            .metadata()
            .map_err(|error| explanations::not_opened(path, error))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let opened = std::fs::OpenOptions::new().read(true).open(path);
        let input = opened.map_err(|error| explanations::not_opened(path, error))?;
        Ok(Self::Archive {
            input: Box::new(input),
            path: Some(path.to_owned()),
        })
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Archive { path, .. } => path.as_deref(),
        }
    }
}

/// A restored data folder.
#[derive(Debug)]
pub struct Restored {
    /// The moment whose state it has.
    pub created_at: Timestamp,
    /// The number and size of its files.
    pub totals: Totals,
    /// Problems that the verification found.
    pub findings: Vec<Finding>,
}

/// Restores a backup into `data`, which must be empty or not exist, and compares the result with the database. The
/// folder is empty again on failure. What an interrupted restore has left is removed. All files belong to the owner of
/// `data`, also if root restores them.
///
/// # Errors
/// When `data` is not empty or contains the backup, the backup is incomplete or cannot be read, or files cannot be
/// written.
pub async fn restore(data: &Path, source: Source) -> anyhow::Result<Restored> {
    check_empty(data)?;
    if let Some(path) = source.path() {
        places::ensure_apart(data, path)?;
    }
    private::create_data_folder(data)?;
    let _lock = lock(data).await?;
    // A server may have been faster.
    check_empty(data)?;
    clear(data)?;
    let restored = fill_and_complete(data, source).await;
    if restored.is_err() {
        clear(data)?;
        remove(&data.join(LOCK_FILE))?;
    }
    restored
}

async fn fill_and_complete(data: &Path, source: Source) -> anyhow::Result<Restored> {
    let folder = data.to_owned();
    let filled = spawn_blocking_named("fill data folder", move || fill(&folder, source));
    let not_restored = |error| explanations::not_restored(data, error);
    let (created_at, totals) = filled.await?.map_err(not_restored)?;
    let findings = complete(data, &data.join(RESTORING_FILE)).await;
    let findings = findings.map_err(damaged)?;
    let folder = data.to_owned();
    let finished = spawn_blocking_named("finish restore", move || finish(&folder));
    finished.await?.map_err(not_restored)?;
    Ok(Restored {
        created_at,
        totals,
        findings,
    })
}

/// Explains that the database cannot be used: that of a backup, not that of a server.
fn damaged(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<OpenError>() {
        Ok(OpenError::Damaged { finding, .. }) => explanations::damaged_database(&finding).into(),
        Ok(error) => error.explanation().into(),
        Err(error) => error,
    }
}

/// Checks that a folder does not exist, is empty, or has what an interrupted restore has left: apart from its lock, and
/// from what mkfs puts into every ext4 file system.
fn check_empty(data: &Path) -> anyhow::Result<()> {
    let names = match names(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(|error| unusable(data, &error))?,
    };
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has(RESTORING_FILE) && !has(DATABASE_FILE) {
        return Ok(());
    }
    for name in &names {
        anyhow::ensure!(
            name == LOST_AND_FOUND || name == LOCK_FILE,
            explanations::not_empty(data, name.display())
        );
    }
    Ok(())
}

/// Returns the names in a folder, in order. Not with fs_err, whose error names the path a second time.
fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = folder.read_dir()?;
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names?;
    names.sort_unstable();
    Ok(names)
}

/// Writes the files, the database under the name that says that they are not complete. Blocking.
fn fill(data: &Path, source: Source) -> anyhow::Result<(Timestamp, Totals)> {
    let rename = |path: &Path| match path == Path::new(DATABASE_FILE) {
        true => RESTORING_FILE.into(),
        false => path.to_owned(),
    };
    let (paths, totals) = match source {
        Source::Folder(folder) => {
            anyhow::ensure!(
                folder.join(MANIFEST_FILE).try_exists()?,
                explanations::foreign_folder(&folder, MANIFEST_FILE)
            );
            let paths = tree::files(&folder)?;
            let totals = tree::copy(&folder, data, &paths, rename, || Ok(()))?;
            (paths, totals)
        }
        Source::Archive { input, .. } => archive::extract(input, data, rename)?,
    };
    anyhow::ensure!(
        !paths.is_empty() && data.join(MANIFEST_FILE).try_exists()?,
        explanations::no_manifest(MANIFEST_FILE)
    );
    let text = fs_err::read(data.join(MANIFEST_FILE))?;
    let manifest = Manifest::check(&text, paths.len() - 1)?;
    anyhow::ensure!(
        data.join(RESTORING_FILE).try_exists()?,
        explanations::no_database()
    );
    fs_err::remove_file(data.join(MANIFEST_FILE))?;
    Ok((manifest.created_at, totals))
}

/// Makes the restored files durable, then lets a server use them. Blocking.
fn finish(data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !data.join(format!("{RESTORING_FILE}-wal")).try_exists()?,
        explanations::database_in_use()
    );
    give_to_owner(data, Depth::All, &[])?;
    sync_all(data)?;
    fs_err::rename(data.join(RESTORING_FILE), data.join(DATABASE_FILE))?;
    Ok(sync_folder(data)?)
}

/// Removes what a restore created.
fn clear(data: &Path) -> io::Result<()> {
    for name in CREATED {
        remove(&data.join(name))?;
    }
    Ok(())
}

/// Removes a file or folder, if there is one.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.is_dir() {
        true => fs_err::remove_dir_all(path),
        false => fs_err::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
