//! Commands in a persistent root: a system in which packages are installed, upgraded and tried.

use std::path::PathBuf;

use buildbtw_model::Architecture;
use buildbtw_model::api::Repository;
use serde::{Deserialize, Serialize};

/// A command to run as root in a root that is kept in a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootCommand {
    /// The folder of the root; created if it does not exist.
    pub dir: PathBuf,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether the command shares the host's network.
    pub network: bool,
    /// Folders or files of the host that are visible to the command.
    pub binds: Vec<Bind>,
    /// The repositories for `/etc/pacman.conf`; empty: the file is left unchanged.
    pub repositories: Vec<Repository>,
    /// The architecture of `/etc/pacman.conf`.
    pub architecture: Architecture,
}

/// A folder or file of the host inside a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its path on the host.
    pub source: PathBuf,
    /// Its absolute path inside.
    pub target: PathBuf,
    /// Whether it is writable from inside.
    pub writable: bool,
}
