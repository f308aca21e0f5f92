//! `buildbtw sandbox`: a command in a root that stays, to install packages into and try them.

use std::path::Path;

use buildbtw_builder::{Bind, RootCommand, SandboxConfig, check_host, reap, run_in_root};
use buildbtw_model::Architecture;
use buildbtw_model::api::Repository;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{RepositoryArgument, Sandbox};
use crate::error::{Error, Result};
use crate::output::Output;

/// Where sandboxes are made. Nobody but root may choose what lies there, so it is below no folder
/// that others can write to.
const SCRATCH: &str = "/var/lib/buildbtw-sandboxes";

pub(super) async fn run(args: Sandbox) -> Result<u8> {
    let config = sandbox_config().await?;
    let mut binds = Vec::new();
    for bind in args.binds {
        binds.push(Bind {
            source: fs_err::canonicalize(&bind.source)?,
            target: bind.target,
            writable: bind.writable,
        });
    }
    fs_err::create_dir_all(&args.dir)?;
    let command = RootCommand {
        dir: fs_err::canonicalize(&args.dir)?,
        command: args.command,
        network: args.network,
        binds,
        repositories: repositories(&args.repositories),
        architecture: machine_architecture()?,
    };
    let output = Output::new(false);
    let sink = |bytes: &[u8]| {
        // The command goes on without a reader, as it would in a shell that ignores SIGPIPE.
        let _ = output.bytes(bytes);
    };
    let code = run_in_root(&config, &command, &sink, cancel_on_signal()?)
        .await
        .map_err(|error| Error::new(error.to_string()))?;
    // 128 + signal at most; anything else is no exit code.
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// The repositories of the command line as sections of a pacman.conf.
pub(super) fn repositories(arguments: &[RepositoryArgument]) -> Vec<Repository> {
    arguments
        .iter()
        .map(|argument| Repository {
            name: argument.name.clone(),
            servers: vec![argument.url.clone()],
            // Checked when there are signatures; local repositories seldom have any.
            sig_level: "Optional TrustAll".to_owned(),
        })
        .collect()
}

/// The architecture of this machine, as pacman names it.
pub(super) fn machine_architecture() -> Result<Architecture> {
    let name = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7h",
        "loongarch64" => "loong64",
        "powerpc64" => "powerpc64le",
        other => other,
    };
    name.parse().map_err(|error| Error::new(format!("{error}")))
}

/// Fires on Ctrl-C and SIGTERM, so that everything in the sandbox is ended in order.
pub(super) fn cancel_on_signal() -> Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let fired = cancel.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        fired.cancel();
    });
    Ok(cancel)
}

/// The builder on this machine, when it has all that is needed. Cleans up after commands that were
/// killed; those that still run are left alone.
pub(super) async fn sandbox_config() -> Result<SandboxConfig> {
    let config = SandboxConfig::new(SCRATCH);
    check_host(&config).map_err(|missing| Error::new(missing.to_string()))?;
    fs_err::create_dir_all(SCRATCH)?;
    reap(Path::new(SCRATCH)).await?;
    Ok(config)
}
