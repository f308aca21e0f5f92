//! The root side: the one process that may do what needs root. It takes a single request from its
//! standard input and stops when that ends.

mod build;
mod check;
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
use crate::failure::Failure;
use crate::frames::{Frame, Message};

pub(crate) use request::{LOST, Request};

/// Does what the request says.
pub(crate) fn run() -> ExitCode {
    // Out of reach of the signals that the runner sends to the group of the front. It fails when this
    // already is a session of its own.
    let _ = nix::unistd::setsid();
    umask(Mode::from_bits_truncate(0o077));
    complain();
    let output = Output::default();
    let served = isolation::isolate()
        .map_err(|error| Failure::system(format!("isolating the root side: {error}")))
        .and_then(|()| serve(&output));
    let message = match served {
        Ok(()) => Message::Done,
        Err(failure) => Message::Failed {
            message: failure.to_string(),
            is_jobs_fault: matches!(failure, Failure::Build { .. }),
        },
    };
    let code = match &message {
        Message::Failed { .. } => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    };
    // Whoever asked may be gone; then nobody is left to tell.
    let _ = output.write(&Frame::Message(message));
    code
}

/// Lets people see in the job's log what goes wrong on the way, such as a server that is away.
pub(crate) fn complain() {
    let levels = Targets::new()
        .with_default(Level::WARN)
        // How the build itself ended, the front says.
        .with_target("buildbtw_agent::agent", Level::ERROR);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| output::Complaints)
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
        return Err(Failure::system(
            "builds need root, and this process has not become it",
        ));
    }
    let state = State::open(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        input::stop_on_signals(&stop.now)?;
        dispatch(&config, &state, request, output, stop).await
    });
    // A piece of the log that nobody reads must not keep this process.
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
                () = stop.now.cancelled() => return Err(Failure::system("stopped before the end")),
            }
        }
        Request::Build {
            job,
            attempt,
            id_token,
            runners,
        } => {
            let folder = state.begin(job).await?;
            stop.on_end_of_any(runners);
            let task = build::Task {
                config,
                folder: &folder,
                output,
                stop,
            };
            let built = task.run(attempt, id_token).await;
            // Also after a failure: whatever is worth keeping is at the server.
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
