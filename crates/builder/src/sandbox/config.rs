//! The configuration of sandboxes on the host.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::terminal::Terminal;
use crate::source::access::GitAccess;
use crate::source_network::SourceNetwork;

/// The location of a build's files until it ends: its root, sources, tree and packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScratchDisk {
    /// In an image, or in memory where the host cannot create images; the log says so.
    #[default]
    Auto,
    /// In a sparse image below the scratch folder, mounted by a loop device.
    Image,
    /// In memory (tmpfs), where they count towards the memory limit.
    Memory,
}

/// The configuration of sandboxes on the host.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The folder for the attempts' scratch folders, for exclusive use.
    pub scratch_root: PathBuf,
    /// The location of build files.
    pub scratch_disk: ScratchDisk,
    /// A pacstrapped system to build on. `None`: the host's `/usr`, with a `host-base` package that
    /// represents its contents.
    pub base_root: Option<PathBuf>,
    /// The first of the user ids that sandboxes are mapped to; each concurrent build takes 65,536. No real
    /// user of the host may have an id at or above it.
    pub uid_base: u32,
    /// Parallel jobs of `make` in a build. `None`: the number of processors.
    pub jobs: Option<usize>,
    /// Whether builds get cgroups, where the host allows it. Without one, memory is limited per process
    /// and processes per build (setrlimit(2)).
    pub cgroups: bool,
    /// The credentials of git for the hosts of sources.
    pub git: GitAccess,
    /// Networks from which sources may be fetched although they are refused by default, such as this
    /// machine's own and private ones.
    pub allow_source_networks: Vec<SourceNetwork>,
    /// The address of the buildbtw server, from which sources must not be fetched.
    pub server: Option<String>,
    /// The terminal of the person who builds: for a shell in the root of a build that failed, and for commands in kept
    /// roots. Builds on a terminal have no limits of time and silence.
    pub terminal: Option<Terminal>,
    /// The program to start as helper; it must call [`crate::run_helper_if_asked`].
    pub helper: PathBuf,
}

impl SandboxConfig {
    /// Returns the default configuration.
    pub fn new(scratch_root: impl Into<PathBuf>) -> Self {
        Self {
            scratch_root: scratch_root.into(),
            scratch_disk: ScratchDisk::default(),
            base_root: None,
            uid_base: 200_000,
            jobs: None,
            cgroups: true,
            git: GitAccess::default(),
            allow_source_networks: Vec::new(),
            server: None,
            terminal: None,
            // Still valid after an upgrade replaced the file of the running program.
            helper: PathBuf::from("/proc/self/exe"),
        }
    }
}
