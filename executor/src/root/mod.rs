//! The root side: the process for operations that need root. It reads a single request from its standard input and
//! stops when that ends.

mod build;
mod check;
mod doctor;
mod input;
mod isolation;
mod output;
mod request;
mod state;
mod stop;

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::output::Output;
use self::state::State;
use self::stop::Stop;
use crate::config::{Config, trust};
use crate::explanations;
use crate::failure::Failure;
use crate::frames::{Frame, Message};

pub(crate) use doctor::{PROGRAM, VERSION, check_server};
pub(crate) use request::{LOST, Request};

/// Reads and processes one request. Returns the exit code of the process.
pub(crate) fn run() -> ExitCode {
    // A session of its own is not reached by the signals that the runner sends to the front's process group. The
    // call fails when this process already leads one.
    let _ = nix::unistd::setsid();
    umask(Mode::from_bits_truncate(0o077));
    init_logging();
    let output = Output::default();
    let served = isolation::isolate()
        .map_err(|error| Failure::system(format!("cannot isolate the root side: {error}")))
        .and_then(|()| serve(&output));
    let message = match served {
        Ok(()) => Message::Done,
        Err(failure) => Message::Failed {
            explanation: failure.explanation(),
            is_jobs_fault: matches!(failure, Failure::Build { .. }),
        },
    };
    let code = match &message {
        Message::Failed { .. } => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    };
    // The front may be gone.
    let _ = output.write(&Frame::Message(message));
    code
}

/// Logs warnings to standard error, which is shown in the job's log.
pub(crate) fn init_logging() {
    let levels = Targets::new()
        .with_default(Level::WARN)
        // The front prints the outcome of the build.
        .with_target("buildbtw_agent::agent", Level::ERROR);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| output::StderrWriter)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_filter(levels);
    tracing_subscriber::registry().with(lines).init();
}

fn serve(output: &Output) -> Result<(), Failure> {
    let stop = Stop::default();
    let request = input::listen(stop.clone())?;
    let config = trust::load()?;
    let is_root = nix::unistd::geteuid().is_root();
    if config.needs_root() && !is_root {
        return Err(Failure::system(explanations::not_root()));
    }
    let state = State::open(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        input::stop_on_signals(&stop.now)?;
        dispatch(&config, &state, request, output, stop).await
    });
    // A write to a front that does not read must not keep this process from ending.
    runtime.shutdown_background();
    served
}

async fn dispatch(
    config: &Config,
    state: &State,
    request: Request,
    output: &Output,
    stop: Stop,
) -> Result<(), Failure> {
    match request {
        Request::Check {} => {
            tokio::select! {
                checked = check::run(config, state) => checked?,
                () = stop.now.cancelled() => return Err(Failure::system("the check was stopped")),
            }
        }
        Request::Doctor { build } => {
            tokio::select! {
                checks = doctor::run(config, state, build) => {
                    output.send(Frame::Message(Message::Checks(checks))).await?;
                }
                () = stop.now.cancelled() => return Err(Failure::system("the check was stopped")),
            }
        }
        Request::Build {
            job,
            attempt,
            id_token,
            runners,
        } => {
            let folder = state.begin(job).await?;
            stop.watch_runners(runners);
            let task = build::Task {
                config,
                folder: &folder,
                output,
                stop,
            };
            let built = task.run(attempt, id_token).await;
            // Also after a failure: log and packages are at the server.
            folder.remove().await?;
            built?;
        }
        Request::Clean { job } => {
            state.clean(job).await?;
            state.reap().await?;
        }
        Request::Reap {} => state.reap().await?,
    }
    Ok(())
}
