//! Commands in a root that stays: a system to install packages into, to upgrade and to try.

use std::path::PathBuf;

use buildbtw_model::Architecture;
use buildbtw_model::api::Repository;
use serde::{Deserialize, Serialize};

/// A command to run as root of a root that is kept in a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootCommand {
    /// The folder that keeps the root; made when it is not there.
    pub dir: PathBuf,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether it shares this machine's network.
    pub network: bool,
    /// Folders or files of this machine that it sees.
    pub binds: Vec<Bind>,
    /// Written to `/etc/pacman.conf` before the command starts; empty: left as it is.
    pub repositories: Vec<Repository>,
    /// The architecture of `/etc/pacman.conf`.
    pub architecture: Architecture,
}

/// A folder or file of this machine inside a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its path on this machine.
    pub source: PathBuf,
    /// Its absolute path inside.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
    pub writable: bool,
}
