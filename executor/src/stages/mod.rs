//! What the program does when it is started: one file for each.

mod check;
mod cleanup;
mod config;
mod prepare;
mod reap;
mod refusal;
mod run;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};

use crate::cli::Command;
use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;

/// Does what the command line says, and says how the process shall end.
pub(crate) fn run(command: Command, config: PathBuf) -> ExitCode {
    // Jobs must get into their folders, whatever the runner's own habits are.
    umask(Mode::from_bits_truncate(0o022));
    let environment = Environment::read();
    environment.forget_exit_code();
    let result = dispatch(command, config, &environment);
    if let Err(failure) = &result {
        // The lines below the first are a package's, and must not look like lines of this program. What came
        // before may have set colours.
        let text = failure.to_string().replace('\n', "\n  ");
        let text = text.replace(|c: char| c.is_control() && c != '\n', "");
        // Nothing is left to do when not even this can be written.
        let _ = writeln!(std::io::stderr(), "\x1b[0;1;31mERROR: {text}\x1b[0m");
    }
    environment.exit_code(&result)
}

fn dispatch(command: Command, config: PathBuf, environment: &Environment) -> Result<(), Failure> {
    let is_check = matches!(command, Command::Check);
    let done = Host::load(config).and_then(|host| stage(command, &host, environment));
    match done {
        // There is no job whose fault it could be.
        Err(Failure::Final(message)) if is_check => Err(Failure::system(message)),
        done => done,
    }
}

fn stage(command: Command, host: &Host, environment: &Environment) -> Result<(), Failure> {
    match command {
        Command::Config => config::run(host, environment),
        Command::Prepare => {
            let prepared = prepare::run(host, environment);
            refusal::report(host, environment, prepared)
        }
        Command::Run { script, stage } => {
            let ran = run::run(host, environment, &script, &stage);
            refusal::report(host, environment, ran)
        }
        Command::Cleanup => cleanup::run(host, environment),
        Command::Reap => reap::run(host),
        Command::Check => check::run(host),
        Command::AsRoot => Err(Failure::system("as-root is not for the front")),
    }
}
