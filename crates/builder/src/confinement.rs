//! Confines foreign code that runs outside a build, such as the scripts of GitLab jobs: the same limits and
//! system call filter as in a build, and no descriptors or keys of the parent process.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Command;

use buildbtw_model::AttemptId;
use fs_err as fs;

use crate::permissions::RunAs;
use crate::request::Limits;
use crate::sandbox::scratch::Scratch;
use crate::seccomp::{self, Memory};
use crate::sys::{self, Bounds};

/// The bounds of one bubblewrap command: a cgroup or rlimits, the disk limit for each file, a new session
/// keyring, only the descriptors passed to it, and the system call filter.
#[derive(Debug)]
pub struct Confinement {
    limits: Limits,
    user: Option<RunAs>,
    scratch: Option<Scratch>,
}

impl Confinement {
    /// Creates bounds that limit each process by rlimits.
    #[must_use]
    pub fn without_cgroup(limits: Limits, user: Option<RunAs>) -> Self {
        Self {
            limits,
            user,
            scratch: None,
        }
    }

    /// Creates a cgroup where the host allows it, and records it below `root`, where [`crate::reap`] finds
    /// it if this process is killed.
    ///
    /// # Errors
    ///
    /// When the folder is not writable.
    pub fn with_cgroup(limits: Limits, user: Option<RunAs>, root: &Path) -> io::Result<Self> {
        let scratch = Scratch::create(root, &AttemptId::new().to_string(), Some(&limits))?;
        Ok(Self {
            scratch: Some(scratch),
            ..Self::without_cgroup(limits, user)
        })
    }

    /// Makes a bubblewrap command start within the bounds, with the descriptors `inherited`. Adds an option
    /// to the command, so it must be called before `--` is added.
    ///
    /// # Errors
    ///
    /// When there is no filter for the host's architecture, or the cgroup cannot be opened.
    pub fn apply(&self, bwrap: &mut Command, mut inherited: Vec<OwnedFd>) -> io::Result<()> {
        let cgroup = self.scratch.as_ref().and_then(Scratch::cgroup);
        let mut procs = Vec::new();
        for path in cgroup.map(|group| group.procs()).unwrap_or_default() {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            procs.push(file.into_parts().0);
        }
        let memory = if procs.is_empty() {
            Memory::Rlimits
        } else {
            Memory::Cgroup
        };
        let filter = seccomp::descriptor(memory)?;
        bwrap.arg("--seccomp").arg(filter.as_raw_fd().to_string());
        inherited.push(filter);
        let rlimits = (self.limits.memory_bytes, self.limits.processes);
        let bounds = Bounds {
            rlimits: procs.is_empty().then_some(rlimits),
            file_bytes: self.limits.disk_bytes,
            procs,
            user: self.user,
            inherited,
        };
        sys::confine(bwrap, bounds);
        Ok(())
    }

    /// Describes the limit of the cgroup that was exceeded. Rlimits leave no trace.
    #[must_use]
    pub fn exceeded(&self) -> Option<String> {
        let cgroup = self.scratch.as_ref()?.cgroup()?;
        cgroup.exceeded().describe(&self.limits)
    }

    /// Kills the processes left in the cgroup, and removes it.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be removed; [`crate::reap`] tries again.
    pub async fn remove(self) -> io::Result<()> {
        match self.scratch {
            Some(scratch) => scratch.remove().await,
            None => Ok(()),
        }
    }
}
