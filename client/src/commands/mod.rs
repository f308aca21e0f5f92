//! The commands, one file each. Most send requests with the typed client and print the responses.

mod activity;
mod build;
mod choose;
mod completions;
mod config;
mod control;
mod diff;
mod doctor;
mod edit;
#[cfg(test)]
mod error_snapshots;
mod list;
mod login;
mod logs;
mod new;
mod new_iteration;
mod open;
mod plan;
mod relay;
pub(crate) mod rows;
mod sandbox;
mod show;
mod sources;
mod status;
mod token;
mod unknown;
mod watch;
mod why;
mod workers;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::contract::{Contract, JsonRequest};
use crate::error::Error;
use crate::output::Output;

/// Runs a command and returns the code to exit with.
///
/// # Errors
/// When the command failed.
pub async fn run(cli: Cli) -> Result<u8, Error> {
    let Cli { global, command } = cli;
    let json = match JsonRequest::of(&global, &command)? {
        JsonRequest::ListFields(contract) => return list_fields(&contract),
        JsonRequest::None => None,
        JsonRequest::Project(projection) => Some(projection),
    };
    let context = |json| Context::new(&global, json);
    match command {
        Command::Plan(args) => plan::run(&global, args, json).await,
        Command::Login(args) => login::run(&global, &args, json).await,
        Command::New(args) => new::run(&context(json)?, args).await,
        Command::Doctor => doctor::run(&global, json).await,
        Command::Config(args) => config::run(&global, &args, json),
        Command::Status(args) => status::run(&context(json)?, &args).await,
        Command::Diff(args) => diff::run(&context(json)?, &args).await,
        Command::Open(args) => open::run(&context(json)?, &args).await,
        Command::List(args) => list::run(&context(json)?, &args).await,
        Command::Activity(args) => activity::run(&context(json)?, &args).await,
        Command::Show(args) => show::run(&context(json)?, &args).await,
        Command::Why(args) => why::run(&context(json)?, &args).await,
        Command::Edit(args) => edit::run(&context(json)?, args).await,
        Command::NewIteration(args) => new_iteration::run(&context(json)?, &args).await,
        Command::Retry(args) => control::retry(&context(json)?, args).await,
        Command::Cancel(args) => control::cancel(&context(json)?, &args.namespace).await,
        Command::Resume(args) => control::resume(&context(json)?, &args.namespace).await,
        Command::Prioritize(args) => control::prioritize(&context(json)?, args).await,
        Command::Delete(args) => control::delete(&context(json)?, &args).await,
        Command::Watch(args) => watch::run(&context(json)?, &args).await,
        Command::Logs(args) => logs::run(&context(json)?, &args).await,
        Command::Workers(args) => workers::list(&context(json)?, &args).await,
        Command::Worker(args) => workers::run(&context(json)?, args).await,
        Command::Sources(args) => sources::run(&context(json)?, &args).await,
        Command::Token(args) => token::run(&context(json)?, args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Build(args) => build::run(&global, &args).await,
        Command::Shell(args) => build::shell(&global, args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}

/// Prints the fields of a command's result if `--json` at the end asks for them and other arguments, which do not
/// matter then, are missing.
#[must_use]
pub fn list_fields_if_asked(error: &clap::Error) -> Option<Result<u8, Error>> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let is_asked = arguments.last().is_some_and(|last| last == "--json");
    if !is_asked || error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let program = Cli::command().ignore_errors(true);
    let matches = program.try_get_matches_from(&arguments).ok()?;
    let (mut words, mut inner) = (Vec::new(), &matches);
    while let Some((name, matches)) = inner.subcommand() {
        words.push(name);
        inner = matches;
    }
    if arguments.iter().any(|argument| argument == "--follow") {
        words.push("--follow");
    }
    // Only `new` has other fields with this option.
    let contract = Contract::named(&words.join(" ")).or_else(|| {
        words.retain(|word| *word != "--follow");
        Contract::named(&words.join(" "))
    });
    contract.map(|contract| list_fields(&contract))
}

/// Prints the fields of a command's result, one per line.
fn list_fields(contract: &Contract) -> Result<u8, Error> {
    let output = Output::new(None);
    for field in contract.fields() {
        output.line(field)?;
    }
    let shape = match contract.is_list {
        true => "each entry of the list",
        false => "the result",
    };
    output.hint(format_args!(
        "these are the fields of {shape}; `--json all` prints all of them"
    ));
    Ok(0)
}
