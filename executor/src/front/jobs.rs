//! The folders of jobs, and which of them are left over from jobs that are dead.

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
use crate::lock::FolderLock;
use crate::root::Request;
use crate::runner::Process;

/// How long a stage may go on after the next one began: it was abandoned, and ends itself.
const STAGE_PATIENCE: Duration = Duration::from_secs(12);
/// The same before a job is removed.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);
/// How much longer than it may take a job is believed to live, for its last stages.
const AFTERLIFE: Duration = Duration::from_secs(3600);

/// Where the jobs of this host are.
#[derive(Debug)]
pub(crate) struct Jobs {
    folder: PathBuf,
}

/// The folder of one job.
#[derive(Debug)]
pub(crate) struct JobFolder {
    path: PathBuf,
}

/// A job's folder while a stage of it runs.
#[derive(Debug)]
pub(crate) struct Entered {
    /// The folder.
    pub(crate) folder: JobFolder,
    _lock: FolderLock,
}

/// What tells a dead job from one that is between two stages.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    runner: Option<Process>,
    /// In seconds since 1970.
    expires: u64,
}

impl JobFolder {
    /// Where the runner puts the project.
    pub(crate) fn builds(&self) -> PathBuf {
        self.path.join("builds")
    }

    /// Where the runner puts caches.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// `HOME` of scripts.
    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// `TMPDIR` of scripts.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The folders that scripts may write to.
    pub(crate) fn own(&self) -> [PathBuf; 4] {
        [self.builds(), self.cache(), self.home(), self.tmp()]
    }

    /// `/etc/passwd` and `/etc/group` of scripts.
    pub(crate) fn accounts(&self) -> [PathBuf; 2] {
        [self.path.join("passwd"), self.path.join("group")]
    }

    /// The records of the cgroups of scripts.
    pub(crate) fn limits(&self) -> PathBuf {
        self.path.join("limits")
    }

    /// `gitlab-runner` as scripts call it.
    pub(crate) fn helper(&self) -> PathBuf {
        self.path.join("gitlab-runner")
    }

    /// There while the root side may have something of this job.
    pub(crate) fn building(&self) -> PathBuf {
        self.path.join("building")
    }

    fn life(&self) -> PathBuf {
        self.path.join("job.json")
    }

    fn read_life(&self) -> Option<Life> {
        let text = fs_err::read(self.life()).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The processes that this stage is run for: the one that prepared the job, if it is still alive, and
    /// the one that started this stage. Usually they are the same, the runner.
    pub(crate) fn runners(&self) -> Vec<Process> {
        let recorded = self.read_life().and_then(|life| life.runner);
        let mut runners: Vec<_> = recorded.filter(Process::is_alive).into_iter().collect();
        runners.extend(Process::runner().filter(|starter| !runners.contains(starter)));
        runners
    }

    /// Whether nobody will come back to it. Only true while this process has its lock.
    fn is_dead(&self) -> bool {
        // Without the note its preparation was cut off.
        self.read_life().is_none_or(|life| {
            let is_abandoned = life.runner.is_some_and(|runner| !runner.is_alive());
            is_abandoned || now() > life.expires
        })
    }
}

impl Jobs {
    /// The folder of jobs.
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            folder: host.config.state_dir.join("jobs"),
        }
    }

    /// The folder of a job, which need not exist.
    pub(crate) fn job(&self, id: JobId) -> JobFolder {
        JobFolder {
            path: self.folder.join(id.to_string()),
        }
    }

    /// Makes the folder of a job anew.
    pub(crate) fn create(
        &self,
        host: &Host,
        job: &Job,
        runner: Option<Process>,
    ) -> anyhow::Result<Entered> {
        make(&self.folder, 0o711).with_context(|| {
            format!(
                "make it as root: install -d -m 0711 -o {} {}",
                nix::unistd::geteuid(),
                self.folder.display()
            )
        })?;
        self.check_owner()?;
        // Nobody reaps between making the folder and leaving the note.
        let _guard = FolderLock::take(&self.folder)?;
        self.remove(host, job.id)?;
        let folder = self.job(job.id);
        make(&folder.path, 0o711)?;
        let lock = FolderLock::enter(&folder.path, Duration::ZERO)?;
        let timeout = Duration::from_secs(job.timeout_s).saturating_add(AFTERLIFE);
        let life = Life {
            runner,
            expires: now().saturating_add(timeout.as_secs()),
        };
        fs_err::write(folder.life(), serde_json::to_vec(&life)?)?;
        for path in folder.own() {
            make(&path, 0o700)?;
            if let Some(RunAs { uid, gid }) = host.script_user {
                std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
            }
        }
        Ok(Entered {
            folder,
            _lock: lock,
        })
    }

    /// Takes the folder of a job that was prepared.
    pub(crate) fn enter(&self, id: JobId) -> anyhow::Result<Entered> {
        let folder = self.job(id);
        if folder.path.exists() {
            self.check_owner()?;
        }
        let lock = FolderLock::enter(&folder.path, STAGE_PATIENCE)
            .with_context(|| format!("job {id} was not prepared on this host"))?;
        Ok(Entered {
            folder,
            _lock: lock,
        })
    }

    /// Refuses to work in a folder that another user could put anything into, links to `/etc` for
    /// example: root might otherwise reap what it never made.
    fn check_owner(&self) -> anyhow::Result<()> {
        let owner = fs_err::symlink_metadata(&self.folder)?.uid();
        let own = nix::unistd::geteuid().as_raw();
        anyhow::ensure!(
            owner == own,
            "{} belongs to user {owner}: run this command as that user",
            self.folder.display()
        );
        Ok(())
    }

    /// Removes everything of a job, its processes first.
    pub(crate) fn remove(&self, host: &Host, id: JobId) -> anyhow::Result<()> {
        let folder = self.job(id);
        match folder.path.symlink_metadata() {
            Err(_) => return Ok(()),
            Ok(_) => self.check_owner()?,
        }
        let lock = match FolderLock::seize(&folder.path, REMOVAL_PATIENCE) {
            // Somebody else has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            lock => lock?,
        };
        self.remove_locked(host, id, &folder)?;
        drop(lock);
        Ok(())
    }

    /// Removes everything of a job whose lock this process has.
    pub(crate) fn remove_entered(
        &self,
        host: &Host,
        id: JobId,
        entered: Entered,
    ) -> anyhow::Result<()> {
        self.remove_locked(host, id, &entered.folder)?;
        drop(entered);
        Ok(())
    }

    fn remove_locked(&self, host: &Host, id: JobId, folder: &JobFolder) -> anyhow::Result<()> {
        kill_environments_with(&folder.builds(), host.script_user)?;
        let cleaned = if folder.building().exists() {
            privileged::ask(host, &Request::Clean { job: id })
        } else {
            Ok(())
        };
        // What this process can remove goes whatever became of the other part.
        wait_for(buildbtw_builder::reap(&folder.limits()))??;
        removal::remove(&folder.path)?;
        cleaned.map_err(|failure| anyhow::anyhow!("cleaning up as root: {failure}"))
    }

    /// Removes what is left of jobs whose runner was killed. One that cannot be removed does not keep
    /// the others.
    pub(crate) fn reap(&self, host: &Host) -> anyhow::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        self.check_owner()?;
        let guard = FolderLock::take(&self.folder)?;
        let mut dead = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let folder = self.job(id);
            if let Ok(Some(lock)) = FolderLock::probe(&folder.path)
                && folder.is_dead()
            {
                dead.push((id, folder, lock));
            }
        }
        drop(guard);
        let mut result = Ok(());
        for (id, folder, _lock) in &dead {
            let removed = self.remove_locked(host, *id, folder);
            result = result.and(removed.with_context(|| format!("removing job {id}")));
        }
        result
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
