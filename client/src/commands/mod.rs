//! The commands, one file each. Most send requests with the typed client and print the responses.

mod activity;
mod build;
mod completions;
mod control;
mod edit;
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
mod workers;

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
        Command::List(args) => list::run(&context()?, &args).await,
        Command::Activity(args) => activity::run(&context()?, &args).await,
        Command::Show(args) => show::run(&context()?, &args).await,
        Command::Plan(args) => plan::run(&global, args).await,
        Command::Why(args) => why::run(&context()?, &args).await,
        Command::Edit(args) => edit::run(&context()?, args).await,
        Command::NewIteration(args) => new_iteration::run(&context()?, &args).await,
        Command::Retry(args) => control::retry(&context()?, args).await,
        Command::Cancel(args) => control::cancel(&context()?, &args.namespace).await,
        Command::Resume(args) => control::resume(&context()?, &args.namespace).await,
        Command::Prioritize(args) => control::prioritize(&context()?, args).await,
        Command::Delete(args) => control::delete(&context()?, &args).await,
        Command::Watch(args) => watch::run(&context()?, &args).await,
        Command::Logs(args) => logs::run(&context()?, &args).await,
        Command::Workers => workers::list(&context()?).await,
        Command::Worker(args) => workers::run(&context()?, args).await,
        Command::Sources(args) => sources::run(&context()?, &args).await,
        Command::Token(args) => token::run(&context()?, args).await,
        Command::Login(args) => login::run(&global, &args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Build(args) => build::run(&args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}
