//! The front: the process that the runner starts, which does not need root.

mod artifacts;
pub(crate) mod build;
mod deleted_files;
mod disk;
mod job_log;
pub(crate) mod jobs;
mod line_escaper;
mod links;
mod plain_output;
pub(crate) mod privileged;
mod processes;
mod removal;
pub(crate) mod script;
mod tmp_dir;

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use buildbtw_builder::{RunAs, reading_denied};
use buildbtw_model::settings;
use nix::unistd::User;

use crate::config::Config;
use crate::explanations;
use crate::failure::Failure;

/// The front's settings on this host.
#[derive(Debug)]
pub(crate) struct Host {
    /// The settings.
    pub(crate) config: Config,
    /// The file of the settings.
    pub(crate) config_path: PathBuf,
    /// The user that scripts run as, if it is not this process's own.
    pub(crate) script_user: Option<RunAs>,
}

impl Host {
    /// Reads the settings.
    pub(crate) fn load(config_path: PathBuf) -> Result<Self, Failure> {
        let text = settings::read(&config_path).map_err(|error| match error.kind() {
            // The server's address is in that file, so the failure cannot be reported.
            io::ErrorKind::PermissionDenied => reading_denied(&config_path).into(),
            _ => Failure::system(explanations::unreadable_settings(&config_path, error)),
        })?;
        let config = Config::parse(&text)
            .with_context(|| format!("cannot load the settings in `{}`", config_path.display()))?;
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

/// Returns whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs a future of the builder to completion: the front has no asynchronous runtime.
fn wait_for<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    Ok(runtime.block_on(task))
}

fn script_user(name: &str) -> anyhow::Result<RunAs> {
    let user = User::from_name(name)
        .with_context(|| format!("cannot look up the user `{name}`"))?
        .ok_or_else(|| explanations::no_script_user(name))?;
    anyhow::ensure!(!user.uid.is_root(), explanations::script_user_is_root());
    Ok(RunAs {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    })
}
