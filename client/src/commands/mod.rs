//! The commands, one file each. Most send requests with the typed client and print the responses.

mod build;
mod completions;
mod control;
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

use buildbtw_model::{NamespaceName, Pkgbase};

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::error::Error;
use crate::output::Output;

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
        Command::Completions(args) => completions::run(&args),
        Command::Build(args) => build::run(&args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}

/// Returns the error for a package that a namespace does not build.
fn unknown_build(namespace: &NamespaceName, pkgbase: &Pkgbase) -> Error {
    Error::with_hint(
        format!("namespace `{namespace}` has no build of `{pkgbase}`"),
        format!("`buildbtw show {namespace}` lists its builds"),
    )
}

/// Prints which command follows a rebuild.
fn hint_to_watch(output: Output, namespace: &NamespaceName) {
    output.hint(format_args!(
        "`buildbtw watch {namespace}` follows the rebuild"
    ));
}
