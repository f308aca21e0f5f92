//! `backup`: copies the database, the packages and the logs of a data folder, also while the server runs. The copy has
//! the state of one moment. Repository databases are not part of it: `restore` renders them.

mod archive;
mod explanations;
mod manifest;
pub mod restore;
mod stage;
mod tree;

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use buildbtw_model::Explanation;
use buildbtw_telemetry::spawn_blocking_named;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::maintenance::files::no_database;
use crate::repos::{Repos, sync_folder};
use crate::run::DATABASE_FILE;

pub use explanations::{read_from_terminal, written_to_terminal};
use manifest::Manifest;
use stage::{Staged, stage};
pub use tree::Totals;

/// The folder in the data folder where the files of a backup are collected.
const STAGING: &str = "backup";

/// A finished backup.
#[derive(Debug)]
pub struct Summary {
    /// The number and size of its files.
    pub totals: Totals,
    /// Files that the database refers to and that the data folder does not have.
    pub lost: Vec<PathBuf>,
}

/// Backs a data folder up to the folder `target`, which must not exist. The backup is complete and durable on
/// success, and does not exist on failure. On the file system of the data folder it consists of hard links.
///
/// # Errors
/// When there is no database, `target` exists, another backup is running, or files cannot be written.
pub async fn backup(data: &Path, target: &Path) -> anyhow::Result<Summary> {
    check_database(data)?;
    anyhow::ensure!(
        target.symlink_metadata().is_err(),
        explanations::exists(target)
    );
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Also tells at once whether the folder can be written.
    let beside = beside(parent, target)?;
    let collected = Collected::new(data).await?;
    let (lost, target, parent) = (collected.lost.clone(), target.to_owned(), parent.to_owned());
    let totals = spawn_blocking_named("copy backup", move || {
        let totals = collected.totals()?;
        match rename(collected.folder.path(), &target) {
            Ok(()) => {}
            Err(Errno::XDEV) => {
                tree::copy(
                    collected.folder.path(),
                    beside.path(),
                    &collected.paths,
                    Path::to_path_buf,
                )?;
                rename(beside.path(), &target)
                    .map_err(io::Error::from)
                    .with_context(|| format!("cannot create `{}`", target.display()))?;
            }
            Err(Errno::EXIST) => anyhow::bail!(explanations::exists(&target)),
            Err(error) => {
                return Err(io::Error::from(error))
                    .with_context(|| format!("cannot create `{}`", target.display()));
            }
        }
        tree::sync_all(&target)?;
        sync_folder(&parent)?;
        anyhow::Ok(totals)
    });
    let totals = totals.await??;
    Ok(Summary { totals, lost })
}

/// Backs a data folder up to a tar archive.
///
/// # Errors
/// When there is no database, another backup is running, or the archive cannot be written.
pub async fn backup_to(
    data: &Path,
    output: impl Write + Send + 'static,
) -> anyhow::Result<Summary> {
    check_database(data)?;
    let collected = Collected::new(data).await?;
    let lost = collected.lost.clone();
    let written = spawn_blocking_named("write archive", move || {
        archive::write(collected.folder.path(), &collected.paths, output)
    });
    let totals = written.await??;
    Ok(Summary { totals, lost })
}

fn check_database(data: &Path) -> anyhow::Result<()> {
    let database = data.join(DATABASE_FILE);
    anyhow::ensure!(database.try_exists()?, no_database(&database));
    Ok(())
}

/// Creates a folder beside the target, from which a finished backup is renamed.
fn beside(parent: &Path, target: &Path) -> Result<TempDir, Explanation> {
    let created = tempfile::Builder::new()
        .prefix(".backup-")
        .tempdir_in(parent);
    created.map_err(|error| {
        // Without the name of the temporary folder.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let why = match error.kind() {
            io::ErrorKind::NotFound => format!("the folder `{}` does not exist", parent.display()),
            _ => cause.unwrap_or_else(|| error.to_string()),
        };
        explanations::not_writable(target, why)
    })
}

/// Renames a folder to a path that does not exist.
fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems do not support the flag. A plain rename replaces nothing but an empty folder.
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(from, to),
        renamed => renamed,
    }
}

/// Creates the folder in which files are collected. It belongs to the owner of the data folder, so that root can make
/// one backup and the server's user the next one.
fn staging_folder(data: &Path) -> io::Result<PathBuf> {
    let staging = data.join(STAGING);
    fs_err::create_dir_all(&staging)?;
    let owner = |path: &Path| fs_err::metadata(path).map(|found| (found.uid(), found.gid()));
    let (user, group) = owner(data)?;
    if owner(&staging)? != (user, group) {
        fs_err::os::unix::fs::chown(&staging, Some(user), Some(group))?;
    }
    Ok(staging)
}

/// The files of a backup, below the data folder.
struct Collected {
    folder: TempDir,
    /// Its files in the order of the archive, the manifest last.
    paths: Vec<PathBuf>,
    lost: Vec<PathBuf>,
    /// Held while the files exist: another backup would remove them as leftovers.
    _lock: fs_err::File,
}

impl Collected {
    async fn new(data: &Path) -> anyhow::Result<Self> {
        let staging = staging_folder(data)?;
        let lock = fs_err::File::open(&staging)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                anyhow::bail!(explanations::is_running(data))
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        // Left by a backup that was killed.
        for entry in fs_err::read_dir(&staging)? {
            fs_err::remove_dir_all(entry?.path())?;
        }
        let folder = tempfile::Builder::new().prefix("").tempdir_in(&staging)?;
        let repos = Repos::new(data)?;
        let paused =
            spawn_blocking_named("pause removals", move || repos.pause_removals()).await??;
        let staged = stage(data, folder.path()).await;
        drop(paused);
        let Staged { at, lost } = staged?;
        let mut paths = tree::files(folder.path())?;
        Manifest::new(at, paths.len()).write(folder.path())?;
        paths.push(tree::MANIFEST_FILE.into());
        Ok(Self {
            folder,
            paths,
            lost,
            _lock: lock,
        })
    }

    fn totals(&self) -> anyhow::Result<Totals> {
        let mut seen = tree::SameFiles::default();
        let mut totals = Totals::default();
        for path in &self.paths {
            let metadata = fs_err::metadata(self.folder.path().join(path))?;
            if seen.first(path, &metadata).is_none() {
                totals.files += 1;
                totals.bytes += metadata.len();
            }
        }
        Ok(totals)
    }
}
