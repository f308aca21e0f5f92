//! What the runner starts: everything that needs no root.

mod artifacts;
pub(crate) mod build;
mod job_log;
pub(crate) mod jobs;
mod links;
pub(crate) mod privileged;
mod processes;
mod removal;
pub(crate) mod script;
mod tmp_dir;

use std::path::PathBuf;

use anyhow::Context as _;
use buildbtw_builder::RunAs;
use nix::unistd::User;

use crate::config::Config;

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
    pub(crate) fn load(config_path: PathBuf) -> anyhow::Result<Self> {
        let config = Config::load(&config_path)?;
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
