//! `backup`: copies the database, the packages and the logs of a data folder, also while the server runs. The copy has
//! the state of one moment. Repository databases are not part of it: `restore` renders them.

mod archive;
mod explanations;
mod manifest;
mod places;
pub mod restore;
mod stage;
mod stop;
mod temporary;
mod tree;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use buildbtw_telemetry::spawn_blocking_named;
use rustix::io::Errno;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::logs::Logs;
use crate::maintenance::files::ensure_database;
use crate::owner::{Depth, give_to_owner};
use crate::repos::{Repos, sync_folder};

pub use explanations::{read_from_terminal, written_to_terminal};
use manifest::Manifest;
use stage::{Staged, stage};
use temporary::{TemporaryFolder, rename};
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
/// success, and does not exist on failure, or if `stop` is cancelled before. On the file system of the data folder it
/// consists of hard links.
///
/// # Errors
/// When there is no database, `target` exists or is inside the data folder, another backup is running, files cannot be
/// written, or `stop` is cancelled.
pub async fn backup(
    data: &Path,
    target: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<Summary> {
    ensure_database(data)?;
    anyhow::ensure!(
        target.symlink_metadata().is_err(),
        explanations::exists(target)
    );
    places::ensure_outside(data, target)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Also tells at once whether the folder can be written.
    let temporary = TemporaryFolder::new(parent, target)?;
    let collected = Collected::new(data, stop).await?;
    let (lost, target, parent) = (collected.lost.clone(), target.to_owned(), parent.to_owned());
    let stop = stop.clone();
    let totals = spawn_blocking_named("copy backup", move || {
        let totals = collected.totals()?;
        place(&collected, &temporary, &target, &stop)?;
        tree::sync_all(&target).map_err(|error| explanations::not_copied(&target, error))?;
        sync_folder(&parent)?;
        anyhow::Ok(totals)
    });
    let totals = totals.await??;
    Ok(Summary { totals, lost })
}

/// Moves the collected files to the target, or copies them to another file system. Blocking.
fn place(
    collected: &Collected,
    temporary: &TemporaryFolder,
    target: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let folder = collected.folder.path();
    let renamed = match rename(folder, target) {
        Err(Errno::XDEV) => {
            let check = || stop::check(stop);
            tree::copy(
                folder,
                temporary.path(),
                &collected.paths,
                Path::to_path_buf,
                check,
            )
            .map_err(|error| explanations::not_copied(target, error))?;
            // On a disk that is full, some file systems fail only now.
            tree::sync_all(temporary.path())
                .map_err(|error| explanations::not_copied(target, error))?;
            stop::check(stop)?;
            rename(temporary.path(), target)
        }
        renamed => renamed,
    };
    renamed.map_err(|error| match error {
        Errno::EXIST => explanations::exists(target).into(),
        error => explanations::not_writable(target, io::Error::from(error)).into(),
    })
}

/// Backs a data folder up to a tar archive. It is incomplete if `stop` is cancelled before the end.
///
/// # Errors
/// When there is no database, another backup is running, the archive cannot be written, or `stop` is cancelled.
pub async fn backup_to(
    data: &Path,
    output: impl Write + Send + 'static,
    stop: &CancellationToken,
) -> anyhow::Result<Summary> {
    ensure_database(data)?;
    let collected = Collected::new(data, stop).await?;
    let (folder, paths) = (collected.folder.path().to_owned(), collected.paths.clone());
    let written = spawn_blocking_named("write archive", move || {
        archive::write(&folder, &paths, output)
    });
    // Not in the task: a write to a pipe that is not read never ends, and the files are to be removed nevertheless.
    let totals = stop::until(stop, async { written.await? }).await?;
    Ok(Summary {
        totals,
        lost: collected.lost.clone(),
    })
}

/// Creates the folders that a backup needs in the data folder. They belong to its owner, so that root can make one
/// backup and the server's user the next one, and that the server can use them.
fn create_folders(data: &Path) -> io::Result<(PathBuf, Repos)> {
    let staging = data.join(STAGING);
    fs_err::create_dir_all(&staging)?;
    let repos = Repos::new(data)?;
    Logs::new(data)?;
    give_to_owner(data, Depth::Entries, &[])?;
    Ok((staging, repos))
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
    async fn new(data: &Path, stop: &CancellationToken) -> anyhow::Result<Self> {
        let created = create_folders(data);
        let (staging, repos) =
            created.map_err(|error| explanations::not_collected(data, &error))?;
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
        let pausing = spawn_blocking_named("pause removals", move || repos.pause_removals());
        let paused = stop::until(stop, async { Ok(pausing.await??) }).await?;
        let staged = stage(data, folder.path(), stop).await;
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
