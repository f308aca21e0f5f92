//! `buildbtw sandbox`: runs a command in a root that is kept, to install packages and try them.

use std::path::Path;

use buildbtw_builder::{Bind, RootCommand, SandboxConfig, check_host, reap, run_in_root};
use buildbtw_model::api::Repository;
use buildbtw_model::{Architecture, Explanation};
use buildbtw_telemetry::spawn_named;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::relay::{self, Relay, Takeover};
use crate::cli::{RepositoryArgument, SandboxArgs};
use crate::error::{Error, Result};
use crate::output::Output;

/// The folder of sandboxes. Only root may write to it and to the folders above it.
const SCRATCH: &str = "/var/lib/buildbtw-sandboxes";

pub(super) async fn run(args: SandboxArgs) -> Result<u8> {
    let mut config = sandbox_config(args.base_root.as_deref()).await?;
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
    let output = &Output::new(None);
    let sink = |bytes: &[u8]| {
        // The command continues without a reader, as with SIGPIPE ignored in a shell.
        let _ = output.bytes(bytes);
    };
    let relay = match relay::is_possible() {
        true => Some(Relay::open(Takeover::AtOnce)?),
        false => None,
    };
    config.terminal = relay.as_ref().map(Relay::terminal);
    let running = run_in_root(&config, &command, &sink, cancel_on_signal()?);
    let ended = match relay {
        Some(relay) => relay.during(running).await?,
        None => running.await,
    };
    let code = ended.map_err(|error| builder_error(error.explanation))?;
    // The exit code is at most 128 + signal.
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Converts an explanation of the builder to an error.
pub(super) fn builder_error(explanation: Explanation) -> Error {
    match explanation.hint {
        Some(hint) => Error::with_hint(explanation.message, hint),
        None => Error::new(explanation.message),
    }
}

/// Converts the repositories of the command line to sections of a pacman.conf.
pub(super) fn repositories(arguments: &[RepositoryArgument]) -> Vec<Repository> {
    arguments
        .iter()
        .map(|argument| Repository {
            name: argument.name.clone(),
            servers: vec![argument.url.clone()],
            // Checks signatures if there are any; local repositories seldom have them.
            sig_level: "Optional TrustAll".to_owned(),
        })
        .collect()
}

/// Returns the architecture of this machine, as pacman names it.
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

/// Returns a token that is cancelled on SIGINT and SIGTERM, so that the sandbox is stopped cleanly.
pub(super) fn cancel_on_signal() -> Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let on_signal = cancel.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    spawn_named("signals", async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        on_signal.cancel();
    });
    Ok(cancel)
}

/// Returns the settings of the builder after checking that this machine can build. Cleans up after
/// commands that were killed, but not after those that still run.
pub(super) async fn sandbox_config(base_root: Option<&Path>) -> Result<SandboxConfig> {
    let mut config = SandboxConfig::new(SCRATCH);
    config.base_root = base_root.map(Path::to_owned);
    check_host(&config).map_err(|error| builder_error(error.explanation()))?;
    fs_err::create_dir_all(SCRATCH)?;
    reap(Path::new(SCRATCH)).await?;
    Ok(config)
}
