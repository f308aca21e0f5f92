//! How sandboxes are made on this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::source::access::GitAccess;
use crate::source_network::SourceNetwork;

/// Where the files of a build lie until it ends: its root, sources, tree and packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScratchDisk {
    /// In an image, or in memory where this machine cannot make images; the log says so then.
    #[default]
    Auto,
    /// In a sparse image below the scratch folder, mounted by a loop device.
    Image,
    /// In memory (tmpfs), where they count towards the memory limit.
    Memory,
}

/// How sandboxes are made on this machine.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Folder for the attempts' scratch folders; nobody else's.
    pub scratch_root: PathBuf,
    /// Where the files of builds lie.
    pub scratch_disk: ScratchDisk,
    /// A pacstrapped system to build on. `None`: this machine's `/usr`, with a `host-base` package
    /// that stands for what it holds.
    pub base_root: Option<PathBuf>,
    /// The first of the user ids that sandboxes are mapped to, 65,536 for each build at a time.
    /// No real user of this machine may have an id at or above it.
    pub uid_base: u32,
    /// Jobs of `make` in a build. `None`: the number of processors.
    pub jobs: Option<usize>,
    /// Whether builds get cgroups, where this machine lets us make some. Without, memory is limited
    /// for each process and processes for each build (setrlimit(2)).
    pub cgroups: bool,
    /// How git proves who it is to the hosts of sources.
    pub git: GitAccess,
    /// Networks that sources are fetched from although they are refused otherwise: those of this machine,
    /// private ones and the like.
    pub allow_source_networks: Vec<SourceNetwork>,
    /// The address of the buildbtw server, which sources are not fetched from.
    pub server: Option<String>,
    /// The program that is started as helper; it must call [`crate::run_helper_if_asked`].
    pub helper: PathBuf,
}

impl SandboxConfig {
    /// The usual settings.
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
            // Also right when the file was replaced by an upgrade since this process started.
            helper: PathBuf::from("/proc/self/exe"),
        }
    }
}
