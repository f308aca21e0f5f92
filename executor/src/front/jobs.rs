//! The folders of jobs, and the detection of stale ones, whose runner was killed.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use buildbtw_builder::RunAs;
use serde::{Deserialize, Serialize};

use super::processes::kill_environments_with;
use super::{Host, privileged, removal, wait_for};
use crate::contract::{Job, JobId};
use crate::explanations;
use crate::lock::FolderLock;
use crate::root::Request;
use crate::runner::Process;

/// How long an abandoned stage may take to end after the next one began.
const STAGE_TIMEOUT: Duration = Duration::from_secs(12);
/// How long a stage may take to end before its job is removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after its timeout a job expires: its last stages run then.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3600);

/// The jobs of this host.
#[derive(Debug)]
pub(crate) struct Jobs {
    folder: PathBuf,
}

/// The folder of one job.
#[derive(Debug)]
pub(crate) struct JobFolder {
    path: PathBuf,
}

/// The locked folder of a job, while one of its stages runs.
#[derive(Debug)]
pub(crate) struct LockedJob {
    /// The folder.
    pub(crate) folder: JobFolder,
    _lock: FolderLock,
}

/// The record that distinguishes a stale job from one between two stages.
#[derive(Debug, Serialize, Deserialize)]
struct JobRecord {
    runner: Option<Process>,
    /// In seconds since 1970.
    expires: u64,
}

impl JobFolder {
    /// Returns the folder that the runner puts the project in.
    pub(crate) fn builds(&self) -> PathBuf {
        self.path.join("builds")
    }

    /// Returns the folder that the runner puts caches in.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// Returns `HOME` of scripts.
    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Returns `TMPDIR` of scripts.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Returns the folders that scripts may write to.
    pub(crate) fn own(&self) -> [PathBuf; 4] {
        [self.builds(), self.cache(), self.home(), self.tmp()]
    }

    /// Returns the files that become `/etc/passwd` and `/etc/group` of scripts.
    pub(crate) fn accounts(&self) -> [PathBuf; 2] {
        [self.path.join("passwd"), self.path.join("group")]
    }

    /// Returns the folder with the records of the scripts' cgroups.
    pub(crate) fn limits(&self) -> PathBuf {
        self.path.join("limits")
    }

    /// Returns the wrapper that scripts run as `gitlab-runner`.
    pub(crate) fn helper(&self) -> PathBuf {
        self.path.join("gitlab-runner")
    }

    /// Returns the file that exists while the root side may have files of this job.
    pub(crate) fn building(&self) -> PathBuf {
        self.path.join("building")
    }

    fn record_path(&self) -> PathBuf {
        self.path.join("job.json")
    }

    fn read_record(&self) -> Option<JobRecord> {
        let text = fs_err::read(self.record_path()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Returns the processes that wait for this stage: the one that prepared the job, if it is still alive, and the one
    /// that started this stage. Usually both are the runner.
    pub(crate) fn runners(&self) -> Vec<Process> {
        let recorded = self.read_record().and_then(|record| record.runner);
        let mut runners: Vec<_> = recorded.filter(Process::is_alive).into_iter().collect();
        runners.extend(Process::runner().filter(|starter| !runners.contains(starter)));
        runners
    }

    /// Returns whether no stage of the job will follow. The caller must hold the folder's lock.
    fn is_stale(&self) -> bool {
        // Without a record, the preparation was interrupted.
        self.read_record().is_none_or(|record| {
            let is_abandoned = record.runner.is_some_and(|runner| !runner.is_alive());
            is_abandoned || now() > record.expires
        })
    }
}

impl Jobs {
    /// Returns the jobs of a host.
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            folder: host.config.state_dir.join("jobs"),
        }
    }

    /// Returns the folder of a job, which need not exist.
    pub(crate) fn job(&self, id: JobId) -> JobFolder {
        JobFolder {
            path: self.folder.join(id.to_string()),
        }
    }

    /// Creates the folder of a job. Removes one that exists.
    pub(crate) fn create(
        &self,
        host: &Host,
        job: &Job,
        runner: Option<Process>,
    ) -> anyhow::Result<LockedJob> {
        create_dir(&self.folder, 0o711).map_err(|error| {
            explanations::no_job_folder(&self.folder, nix::unistd::geteuid(), error)
        })?;
        self.check_owner()?;
        // No other process may reap between creating the folder and writing the record.
        let _guard = FolderLock::take(&self.folder)?;
        self.remove(host, job.id)?;
        let folder = self.job(job.id);
        create_dir(&folder.path, 0o711)?;
        let lock = FolderLock::take_within(&folder.path, Duration::ZERO)?;
        let timeout = Duration::from_secs(job.timeout_s).saturating_add(EXPIRY_MARGIN);
        let record = JobRecord {
            runner,
            expires: now().saturating_add(timeout.as_secs()),
        };
        fs_err::write(folder.record_path(), serde_json::to_vec(&record)?)?;
        for path in folder.own() {
            create_dir(&path, 0o700)?;
            if let Some(RunAs { uid, gid }) = host.script_user {
                std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
            }
        }
        Ok(LockedJob {
            folder,
            _lock: lock,
        })
    }

    /// Locks the folder of a prepared job.
    pub(crate) fn lock(&self, id: JobId) -> anyhow::Result<LockedJob> {
        let folder = self.job(id);
        if folder.path.exists() {
            self.check_owner()?;
        }
        let lock = FolderLock::take_within(&folder.path, STAGE_TIMEOUT)
            .map_err(|error| explanations::not_prepared(id, error))?;
        Ok(LockedJob {
            folder,
            _lock: lock,
        })
    }

    /// Fails if another user owns the folder: root could otherwise be made to remove other files through links.
    fn check_owner(&self) -> anyhow::Result<()> {
        let owner = fs_err::symlink_metadata(&self.folder)?.uid();
        let own = nix::unistd::geteuid().as_raw();
        anyhow::ensure!(
            owner == own,
            explanations::foreign_job_folder(&self.folder, owner)
        );
        Ok(())
    }

    /// Removes a job's processes and files.
    pub(crate) fn remove(&self, host: &Host, id: JobId) -> anyhow::Result<()> {
        let folder = self.job(id);
        match folder.path.symlink_metadata() {
            Err(_) => return Ok(()),
            Ok(_) => self.check_owner()?,
        }
        let lock = match FolderLock::seize(&folder.path, REMOVAL_TIMEOUT) {
            // Another process has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            lock => lock?,
        };
        self.remove_locked(host, id, &folder)?;
        drop(lock);
        Ok(())
    }

    /// Removes the processes and files of a job whose lock this process holds.
    pub(crate) fn remove_and_unlock(
        &self,
        host: &Host,
        id: JobId,
        locked: LockedJob,
    ) -> anyhow::Result<()> {
        self.remove_locked(host, id, &locked.folder)?;
        drop(locked);
        Ok(())
    }

    fn remove_locked(&self, host: &Host, id: JobId, folder: &JobFolder) -> anyhow::Result<()> {
        kill_environments_with(&folder.builds(), host.script_user)?;
        let cleaned = if folder.building().exists() {
            privileged::request(host, &Request::Clean { job: id })
        } else {
            Ok(())
        };
        // Also after the root side failed: this process removes its own part.
        wait_for(buildbtw_builder::reap(&folder.limits()))??;
        removal::remove(&folder.path)?;
        cleaned.map_err(|failure| {
            failure
                .explanation()
                .map(|why| format!("cannot clean up as root: {why}"))
                .into()
        })
    }

    /// Removes what is left of jobs whose runner was killed. If one cannot be removed, the others still are.
    pub(crate) fn reap(&self, host: &Host) -> anyhow::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        self.check_owner()?;
        let guard = FolderLock::take(&self.folder)?;
        let mut stale = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let folder = self.job(id);
            if let Ok(Some(lock)) = FolderLock::probe(&folder.path)
                && folder.is_stale()
            {
                stale.push((id, folder, lock));
            }
        }
        drop(guard);
        let mut result = Ok(());
        for (id, folder, _lock) in &stale {
            let removed = self.remove_locked(host, *id, folder);
            result = result.and(removed.with_context(|| format!("cannot remove job {id}")));
        }
        result
    }
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    let created = DirBuilder::new().recursive(true).mode(mode).create(path);
    created.map_err(|error| {
        let message = format!("cannot create `{}`: {error}", path.display());
        io::Error::new(error.kind(), message)
    })
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
