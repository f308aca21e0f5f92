//! What the runner starts: everything that needs no root.

mod artifacts;
pub(crate) mod build;
mod disk;
mod job_log;
pub(crate) mod jobs;
mod links;
mod plain_output;
pub(crate) mod privileged;
mod processes;
mod removal;
mod removed;
pub(crate) mod script;
mod tmp_dir;
mod told_apart;

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use buildbtw_builder::{RunAs, reading_denied};
use nix::unistd::User;

use crate::config::Config;
use crate::failure::Failure;

/// This host, as the front knows it.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its settings.
    pub(crate) config: Config,
    /// Where they are from.
    pub(crate) config_path: PathBuf,
    /// Who scripts run as when that is not this process's own user.
    pub(crate) script_user: Option<RunAs>,
}

impl Host {
    /// Reads the settings.
    pub(crate) fn load(config_path: PathBuf) -> Result<Self, Failure> {
        let text = fs_err::read_to_string(&config_path).map_err(|error| {
            if error.kind() == io::ErrorKind::PermissionDenied {
                // Which server could be told is written in that very file.
                Failure::Final(reading_denied(&config_path))
            } else {
                error.into()
            }
        })?;
        let config = Config::parse(&text)
            .with_context(|| format!("the settings in {}", config_path.display()))?;
        let script_user = if is_root() {
            Some(script_user(&config.script_user)?)
        } else {
            None
        };
        Ok(Self {
            config,
            config_path: std::path::absolute(config_path)?,
            script_user,
        })
    }
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs a task of the builder to its end; the front itself is not asynchronous.
fn wait_for<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    Ok(runtime.block_on(task))
}

fn script_user(name: &str) -> anyhow::Result<RunAs> {
    let user = User::from_name(name)
        .with_context(|| format!("looking up the user {name}"))?
        .with_context(|| {
            format!("this host has no user {name}; name another one with `script_user`")
        })?;
    anyhow::ensure!(
        !user.uid.is_root(),
        "scripts of jobs must not run as root; name another user with `script_user`"
    );
    Ok(RunAs {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    })
}
