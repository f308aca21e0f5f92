//! The worker as a program: parses, wires and waits.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use buildbtw_worker::cli::{Cli, Command, Run};
use buildbtw_worker::{Shutdown, WorkerError};
use clap::Parser as _;
use nix::sys::stat::{Mode, umask};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The exit code when the server takes the token no more (`EX_NOPERM` of sysexits.h): starting again
/// with the same one is of no use.
const EXIT_DENIED: u8 = 77;

fn main() -> ExitCode {
    // Sandboxes start this program again, before it may have any thread.
    buildbtw_builder::run_helper_if_asked();
    let Command::Run(run) = Cli::parse().command;
    // What it writes is for nobody else on this machine.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    match start(*run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when not even this can be written.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            match error.downcast_ref() {
                Some(WorkerError::Denied { .. }) => ExitCode::from(EXIT_DENIED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn start(run: Run) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&run.log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let config = run.into_config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::default();
        tokio::spawn(listen(shutdown.clone())?);
        Ok(buildbtw_worker::run(config, shutdown).await?)
    })
}

/// Turns signals into requests to stop: the first gently, the second at once.
fn listen(shutdown: Shutdown) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping; once more to stop running builds at once");
        shutdown.gently.cancel();
        next().await;
        shutdown.at_once.cancel();
    })
}
