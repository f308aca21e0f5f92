//! The commands, one file each. Most send requests with the typed client and print the responses.

mod build;
mod completions;
mod control;
mod doctor;
#[cfg(test)]
mod error_snapshots;
mod list;
mod login;
mod logs;
mod new;
mod new_iteration;
mod plan;
mod sandbox;
mod show;
mod sources;
mod token;
mod watch;
mod why;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::Error;

/// Runs a command and returns the code to exit with.
///
/// # Errors
/// When the command failed.
pub async fn run(cli: Cli) -> Result<u8, Error> {
    let Cli { global, command } = cli;
    let context = || Context::new(&global);
    match command {
        Command::New(args) => new::run(&context()?, args).await,
        Command::List => list::run(&context()?).await,
        Command::Show(args) => show::run(&context()?, &args).await,
        Command::Plan(args) => plan::run(&global, args).await,
        Command::Why(args) => why::run(&context()?, &args).await,
        Command::NewIteration(args) => new_iteration::run(&context()?, &args).await,
        Command::Retry(args) => control::retry(&context()?, args).await,
        Command::Cancel(args) => control::cancel(&context()?, &args.namespace).await,
        Command::Resume(args) => control::resume(&context()?, &args.namespace).await,
        Command::Delete(args) => control::delete(&context()?, &args).await,
        Command::Watch(args) => watch::run(&context()?, &args).await,
        Command::Logs(args) => logs::run(&context()?, &args).await,
        Command::Sources(args) => sources::run(&context()?, &args).await,
        Command::Token(args) => token::run(&context()?, args).await,
        Command::Login(args) => login::run(&global, &args).await,
        Command::Doctor => doctor::run(&global).await,
        Command::Completions(args) => completions::run(&args),
        Command::Build(args) => build::run(&args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}
