//! The commands of the program, one file for each.

mod check;
mod cleanup;
mod config;
mod final_failure;
mod metrics;
mod prepare;
mod reap;
mod run;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use buildbtw_model::PermissionDenied;
use nix::sys::stat::{Mode, umask};

use crate::cli::Command;
use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;

/// Runs a command. Prints its failure and returns the exit code for the runner.
pub(crate) fn run(command: Command, config: PathBuf) -> ExitCode {
    // Jobs must have access to their folders, whatever the runner's umask is.
    umask(Mode::from_bits_truncate(0o022));
    let environment = Environment::read();
    environment.remove_exit_code();
    let result = dispatch(command, config, &environment);
    if let Err(failure) = &result {
        // The lines below the first may be a package's output, and must not look like lines of this program. Earlier
        // output may have set colours.
        let text = failure.to_string().replace('\n', "\n  ");
        let text = text.replace(|c: char| c.is_control() && c != '\n', "");
        // The exit code still reports the failure when this cannot be written.
        let _ = writeln!(std::io::stderr(), "\x1b[0;1;31mERROR: {text}\x1b[0m");
        if environment.has_job()
            && let Some(Ok(line)) = failure.denied().map(PermissionDenied::to_line)
        {
            // For the server, which may get nothing else of this job than its log.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
    environment.exit_code(&result)
}

fn dispatch(command: Command, config: PathBuf, environment: &Environment) -> Result<(), Failure> {
    let is_check = matches!(command, Command::Check);
    let done = Host::load(config).and_then(|host| stage(command, &host, environment));
    match done {
        // `check` has no job that could be at fault.
        Err(Failure::Final { explanation, .. }) if is_check => Err(Failure::system(explanation)),
        done => done,
    }
}

fn stage(command: Command, host: &Host, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Config => config::run(host, environment),
        Command::Prepare => {
            let prepared = prepare::run(host, environment);
            final_failure::report(host, environment, prepared)
        }
        Command::Run { script, stage } => {
            let ran = run::run(host, environment, &script, &stage);
            final_failure::report(host, environment, ran)
        }
        Command::Cleanup => cleanup::run(host, environment),
        Command::Reap => reap::run(host),
        Command::Check => check::run(host),
        Command::Metrics { listen } => metrics::run(host, listen),
        Command::AsRoot | Command::Doctor { .. } => {
            Err(Failure::system("this is not a command of the front"))
        }
    }
}
