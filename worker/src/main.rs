//! Entry point of the worker.

mod doctor_command;

use std::io::Write as _;
use std::process::ExitCode;

use buildbtw_doctor::command;
use buildbtw_model::Explanation;
use buildbtw_telemetry::logging::{LogFormat, Logging};
use buildbtw_telemetry::spawn_named;
use buildbtw_worker::cli::{self, Cli, Command, Run};
use buildbtw_worker::doctor::{PROGRAM, VERSION};
use buildbtw_worker::{Shutdown, WorkerError};
use clap::CommandFactory as _;
use nix::sys::stat::{Mode, umask};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code when the server rejected the token (`EX_NOPERM` of sysexits.h): service managers must not restart the
/// worker with the same one.
const EXIT_DENIED: u8 = 77;

fn main() -> ExitCode {
    // Sandboxes start this program as their helper, which must not have a second thread yet.
    buildbtw_builder::run_helper_if_asked();
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(failure) => {
            return command::report_failure(Cli::command(), PROGRAM, VERSION, failure);
        }
    };
    // The worker's files are not for other users of this machine.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let settings = command::settings(&parsed);
    let (done, format) = match parsed.cli.command {
        Command::Run(run) => start_log_and_run(*run),
        Command::Doctor(args) => (doctor_command::run(*args, settings), LogFormat::Text),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let known = error.downcast_ref::<WorkerError>();
            let explanation = known.map_or_else(
                || Explanation::of_error(error.as_ref()),
                WorkerError::explanation,
            );
            match format {
                // The exit code still reports the failure when this cannot be written.
                LogFormat::Text => drop(writeln!(std::io::stderr(), "error: {explanation}")),
                LogFormat::Json => {
                    tracing::error!(hint = explanation.hint, "{}", explanation.message);
                }
            }
            match known {
                Some(WorkerError::Denied { .. }) => ExitCode::from(EXIT_DENIED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs the worker. Returns the format in which to report a failure: without a log, that is not a line of it.
fn start_log_and_run(run: Run) -> (anyhow::Result<ExitCode>, LogFormat) {
    let format = run.log_format;
    let logging = Logging {
        filter: &run.log,
        format,
        console: None,
    };
    match logging.start() {
        Ok(()) => (start(run).map(|()| ExitCode::SUCCESS), format),
        Err(error) => (Err(error.into()), LogFormat::Text),
    }
}

fn start(run: Run) -> anyhow::Result<()> {
    let config = run.into_config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::default();
        spawn_named("signals", listen(shutdown.clone())?);
        Ok(buildbtw_worker::run(config, shutdown).await?)
    })
}

/// Stops the worker on signals: gracefully on the first, immediately on the second.
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
        tracing::info!(
            "stopping when running builds have finished; another signal stops them immediately"
        );
        shutdown.graceful.cancel();
        next().await;
        shutdown.immediate.cancel();
    })
}
