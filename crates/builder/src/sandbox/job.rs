//! The messages between the parent and the helper process.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::ScratchDisk;
use super::root_command::RootCommand;
use super::terminal::Terminal;
use crate::failure::Failure;
use crate::log::Mark;
use crate::outcome::BuiltPackage;
use crate::request::{BuildRequest, Limits};
use crate::seccomp::Memory;
use crate::source::access::GitAccess;
use crate::source_network::SourceNetwork;

/// The complete input of the helper, which reads no other configuration.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) base: Base,
    /// The first of the 65,536 host ids that the sandbox is mapped to.
    pub(crate) first_uid: u32,
    /// The files through which the helper joins its cgroup.
    pub(crate) cgroup_procs: Vec<PathBuf>,
    /// The limits to set by setrlimit(2), if there is no cgroup.
    pub(crate) rlimits: Option<Limits>,
    /// The terminal of a person: for a shell in the root of a build that failed, and for a command.
    pub(crate) terminal: Option<Terminal>,
    /// The file for the report.
    pub(crate) report: PathBuf,
    /// The mark that distinguishes the helper's headings from output.
    pub(crate) mark: Mark,
}

impl Job {
    /// Returns the mechanism that limits the job's memory.
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
    /// `PKGEXT`, which overrides that of makepkg.conf.
    pub(crate) package_extension: Option<String>,
    /// The location of the build's files.
    pub(crate) scratch_disk: ScratchDisk,
    /// A folder of the host for the scratch disk image.
    pub(crate) scratch_folder: PathBuf,
}

/// The networks from which sources may be fetched, in addition to the fixed rules.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SourceAccess {
    pub(crate) allowed: Vec<SourceNetwork>,
    /// The server's addresses.
    pub(crate) refused: Vec<IpAddr>,
    /// A host name of the server that could not be resolved, so that its addresses cannot be refused.
    pub(crate) unknown: Option<String>,
}

/// The system below the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Base {
    /// The host's `/usr`, and what it provides in pacman's syntax.
    Host { provides: Vec<String> },
    /// A pacstrapped folder.
    Root(PathBuf),
}

impl Base {
    /// Returns the package format to use if the base does not determine it: Debian's makepkg.conf belongs to
    /// another distribution than the packages.
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
