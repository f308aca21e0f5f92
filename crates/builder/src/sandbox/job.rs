//! What the parent tells the helper process, and what comes back.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::ScratchDisk;
use super::root_command::RootCommand;
use crate::failure::Failure;
use crate::log::Mark;
use crate::outcome::BuiltPackage;
use crate::request::{BuildRequest, Limits};
use crate::seccomp::Memory;
use crate::source::access::GitAccess;
use crate::source_network::SourceNetwork;

/// Everything the helper needs; it reads no configuration of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) base: Base,
    /// The first of the 65,536 host ids that the sandbox is mapped to.
    pub(crate) first_uid: u32,
    /// Files to write the helper's process id into.
    pub(crate) cgroup_procs: Vec<PathBuf>,
    /// Limits to set by setrlimit(2), where there is no cgroup.
    pub(crate) rlimits: Option<Limits>,
    /// Where the report goes.
    pub(crate) report: PathBuf,
    /// What tells the helper's headings from output.
    pub(crate) mark: Mark,
}

impl Job {
    /// What counts the memory of the job.
    pub(crate) fn memory(&self) -> Memory {
        match self.rlimits {
            Some(_) => Memory::Rlimits,
            None => Memory::Cgroup,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Build(Box<BuildTask>),
    Run(Box<RootCommand>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BuildTask {
    pub(crate) request: BuildRequest,
    pub(crate) git: GitAccess,
    pub(crate) output_dir: PathBuf,
    pub(crate) jobs: usize,
    pub(crate) access: SourceAccess,
    /// `PKGEXT` in place of that in makepkg.conf.
    pub(crate) package_extension: Option<String>,
    /// Where the files of the build lie.
    pub(crate) scratch_disk: ScratchDisk,
    /// A folder of this machine for the image of that disk.
    pub(crate) scratch_folder: PathBuf,
}

/// What sources may be fetched from, besides what is always refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SourceAccess {
    pub(crate) allowed: Vec<SourceNetwork>,
    /// The server's addresses.
    pub(crate) refused: Vec<IpAddr>,
    /// A name of the server that could not be resolved: what it stands for cannot be refused.
    pub(crate) unknown: Option<String>,
}

/// The system below the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Base {
    /// This machine's `/usr`, and what it provides, as pacman writes it.
    Host { provides: Vec<String> },
    /// A pacstrapped folder.
    Root(PathBuf),
}

impl Base {
    /// The kind of packages to make, where the base does not say: Debian's makepkg.conf is of another distribution than
    /// the packages, and nobody chose what is in it.
    pub(crate) fn package_extension(&self) -> Option<String> {
        match self {
            Self::Host { .. } => Some(".pkg.tar.zst".to_owned()),
            Self::Root(_) => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Built {
        packages: Vec<BuiltPackage>,
        notes: Vec<String>,
        pkgbuild: Option<PathBuf>,
    },
    Exited(i32),
    Failed(Failure),
}
