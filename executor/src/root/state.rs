//! The root side's own folder: nobody else can look into it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use buildbtw_builder::remove_folder;

use crate::config::trust;
use crate::contract::JobId;
use crate::lock::FolderLock;

/// How long a build that was told to stop may take: killing its sandbox, last words to the server.
const PATIENCE: Duration = Duration::from_secs(15);

/// The root side's folder.
#[derive(Debug)]
pub(super) struct State {
    shared: PathBuf,
    own: PathBuf,
}

/// The folder of one job, which no other process uses.
#[derive(Debug)]
pub(super) struct JobFolder {
    path: PathBuf,
    _lock: FolderLock,
}

impl State {
    /// Makes the folders that are not there, and refuses those that others could change.
    pub(super) fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let own = state_dir.join("root");
        make(state_dir, 0o711)?;
        let state_dir = fs_err::canonicalize(state_dir)?;
        trust::check_folders(&state_dir)?;
        make(&own, 0o700)?;
        make(&own.join("jobs"), 0o700)?;
        let owner = fs_err::symlink_metadata(&own)?.uid();
        anyhow::ensure!(
            owner == nix::unistd::geteuid().as_raw(),
            "{} belongs to user {owner}",
            own.display()
        );
        Ok(Self {
            shared: state_dir,
            own,
        })
    }

    /// Where the folders of jobs are.
    pub(super) fn jobs(&self) -> PathBuf {
        self.own.join("jobs")
    }

    fn job(&self, job: JobId) -> PathBuf {
        self.jobs().join(job.to_string())
    }

    /// Makes the folder for the jobs of the user that sudo was called by, in this folder of root's.
    pub(super) fn make_jobs_of(&self, user: u32, group: u32) -> io::Result<()> {
        let jobs = self.shared.join("jobs");
        if jobs.symlink_metadata().is_ok() {
            return Ok(());
        }
        make(&jobs, 0o711)?;
        std::os::unix::fs::lchown(&jobs, Some(user), Some(group))
    }

    /// Makes the folder of a job that is about to build. What an earlier try left is removed.
    pub(super) async fn begin(&self, job: JobId) -> anyhow::Result<JobFolder> {
        // Nobody reaps between making the folder and taking its lock.
        let _guard = FolderLock::take(&self.jobs())?;
        self.clean(job).await?;
        let path = self.job(job);
        make(&path, 0o700)?;
        let lock = FolderLock::try_take(&path)?.context("another process builds for this job")?;
        Ok(JobFolder { path, _lock: lock })
    }

    /// Ends the build of a job, and removes what it left.
    pub(super) async fn clean(&self, job: JobId) -> anyhow::Result<()> {
        let path = self.job(job);
        if !path.exists() {
            return Ok(());
        }
        match FolderLock::seize(&path, PATIENCE) {
            Ok(_lock) => remove(&path).await?,
            // It has just ended by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Removes what builds left that were killed; those that run are left alone.
    pub(super) async fn reap(&self) -> io::Result<()> {
        let guard = FolderLock::take(&self.jobs())?;
        let mut dead = Vec::new();
        for entry in fs_err::read_dir(self.jobs())? {
            let path = entry?.path();
            if let Ok(Some(lock)) = FolderLock::probe(&path) {
                dead.push((path, lock));
            }
        }
        drop(guard);
        let mut result = Ok(());
        for (path, _lock) in &dead {
            // One that cannot be removed does not keep the others.
            result = result.and(remove(path).await);
        }
        result
    }
}

impl JobFolder {
    /// Where the attempt's files are.
    pub(super) fn attempt(&self) -> PathBuf {
        self.path.join("attempt")
    }

    /// The builder's own. Each job has one: whoever has the job's lock may tidy it up.
    pub(super) fn sandbox(&self) -> PathBuf {
        sandbox(&self.path)
    }

    /// Removes it.
    pub(super) async fn remove(self) -> io::Result<()> {
        remove(&self.path).await
    }
}

fn sandbox(job: &Path) -> PathBuf {
    job.join("sandbox")
}

/// Removes what a build left in its folder, and cgroups that it made.
async fn remove(path: &Path) -> io::Result<()> {
    buildbtw_builder::reap(&sandbox(path)).await?;
    match remove_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    // This process hides what it makes; some of it is for others.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    nix::sys::stat::umask(mask);
    made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
