//! The root side's own folder, which no other user can read.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_builder::remove_folder;

use crate::config::trust;
use crate::contract::JobId;
use crate::explanations;
use crate::lock::FolderLock;

/// How long a stopped build may take to kill its sandbox and to report to the server.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The root side's folder.
#[derive(Debug)]
pub(super) struct State {
    shared: PathBuf,
    own: PathBuf,
}

/// The locked folder of one job.
#[derive(Debug)]
pub(super) struct JobFolder {
    path: PathBuf,
    _lock: FolderLock,
}

impl State {
    /// Creates missing folders. Fails if another user could replace one of them.
    pub(super) fn open(state_dir: &Path) -> anyhow::Result<Self> {
        let own = state_dir.join("root");
        create_dir(state_dir, 0o711)?;
        let state_dir = fs_err::canonicalize(state_dir)?;
        trust::check_folders(&state_dir)?;
        create_dir(&own, 0o700)?;
        create_dir(&own.join("jobs"), 0o700)?;
        let owner = fs_err::symlink_metadata(&own)?.uid();
        anyhow::ensure!(
            owner == nix::unistd::geteuid().as_raw(),
            "`{}` belongs to user {owner}, not to root",
            own.display()
        );
        Ok(Self {
            shared: state_dir,
            own,
        })
    }

    /// Returns the path of the jobs' folders.
    pub(super) fn jobs(&self) -> PathBuf {
        self.own.join("jobs")
    }

    /// Returns the folder in which `doctor` builds. Attempts in it are locked one by one.
    pub(super) fn doctor(&self) -> PathBuf {
        self.own.join("doctor")
    }

    fn job(&self, job: JobId) -> PathBuf {
        self.jobs().join(job.to_string())
    }

    /// Creates the front's folder for jobs, owned by the user who called sudo, in root's state folder.
    pub(super) fn create_jobs_dir(&self, user: u32, group: u32) -> io::Result<()> {
        let jobs = self.shared.join("jobs");
        if jobs.symlink_metadata().is_ok() {
            return Ok(());
        }
        create_dir(&jobs, 0o711)?;
        std::os::unix::fs::lchown(&jobs, Some(user), Some(group))
    }

    /// Creates and locks the folder of a job that is about to build. Removes what an earlier try left.
    pub(super) async fn begin(&self, job: JobId) -> anyhow::Result<JobFolder> {
        // No other process may reap between creating the folder and locking it.
        let _guard = FolderLock::take(&self.jobs())?;
        self.clean(job).await?;
        let path = self.job(job);
        create_dir(&path, 0o700)?;
        let lock = FolderLock::try_take(&path)?;
        let lock = lock.ok_or_else(|| explanations::job_in_use(job))?;
        Ok(JobFolder { path, _lock: lock })
    }

    /// Stops the build of a job, and removes what it left.
    pub(super) async fn clean(&self, job: JobId) -> anyhow::Result<()> {
        let path = self.job(job);
        if !path.exists() {
            return Ok(());
        }
        match FolderLock::seize(&path, STOP_TIMEOUT) {
            Ok(_lock) => remove(&path).await?,
            // The build has just ended by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Removes what killed builds left. Running ones are not affected.
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
            // A folder that cannot be removed must not keep the others.
            result = result.and(remove(path).await);
        }
        result
    }
}

impl JobFolder {
    /// Returns the path of the attempt's folder.
    pub(super) fn attempt(&self) -> PathBuf {
        self.path.join("attempt")
    }

    /// Returns the path of the builder's folder. Each job has its own, so the holder of the job's lock may clean it up.
    pub(super) fn sandbox(&self) -> PathBuf {
        sandbox(&self.path)
    }

    /// Removes the folder.
    pub(super) async fn remove(self) -> io::Result<()> {
        remove(&self.path).await
    }
}

fn sandbox(job: &Path) -> PathBuf {
    job.join("sandbox")
}

/// Removes what a build left in its folder, and its cgroups.
async fn remove(path: &Path) -> io::Result<()> {
    buildbtw_builder::reap(&sandbox(path)).await?;
    match remove_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    // The umask of this process hides its files, but some folders must be accessible to others.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let created = DirBuilder::new().recursive(true).mode(mode).create(path);
    nix::sys::stat::umask(mask);
    created.map_err(|error| {
        let message = format!("cannot create `{}`: {error}", path.display());
        io::Error::new(error.kind(), message)
    })
}
