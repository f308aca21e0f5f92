//! The command line: one file per group of commands.

mod build;
mod examples;
mod global;
mod inspect;
mod local;
mod namespaces;
mod origin;
mod planning;
mod rows;
mod server;
mod usage;

use clap::{Parser, Subcommand};

pub use build::{BuildArgs, GitArgs};
pub use global::Global;
pub use inspect::{
    ConfigArgs, ConfigCommand, ConfigKey, DiffArgs, IterationArgument, OpenArgs, StatusArgs,
};
pub use local::{BindArgument, CompletionsArgs, RepositoryArgument, SandboxArgs};
pub use namespaces::{
    DeleteArgs, LogsArgs, NamespaceArgs, Pattern, PrioritizeArgs, RetryArgs, ShowArgs, WatchArgs,
    WhyArgs,
};
pub use origin::OriginArgument;
pub use planning::{EditArgs, NewArgs, NewIterationArgs, PlanArgs, PlanForm, SpreadArgs};
pub use rows::{BuildRowArgs, LimitArgs, ListArgs};
pub use server::{
    ActivityArgs, LoginArgs, SourcesArgs, TokenCommand, TokenCreateArgs, TokenListArgs,
    WorkerCommand, WorkersArgs,
};
pub use usage::report_usage;

/// Rebuild packages and their dependents
///
/// Exit codes: 0 when all went well; commands that wait for a rebuild exit with 1 when it failed and
/// with 2 when it was cancelled, `build` and `doctor` with 1 when the build or a check failed; 3 for
/// every error; 130 when a command that waits was interrupted. `sandbox` has the code of its command.
#[derive(Debug, Parser)]
#[command(
    name = "buildbtw",
    version,
    max_term_width = 100,
    subcommand_precedence_over_arg = true,
    after_help = examples::ALL
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands of the client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rebuild packages and their dependents
    #[command(after_help = examples::NEW)]
    New(NewArgs),
    /// Show what runs and what needs attention
    #[command(after_help = examples::STATUS)]
    Status(StatusArgs),
    /// List the namespaces
    #[command(after_help = examples::LIST)]
    List(ListArgs),
    /// List what happened lately, and who did it
    #[command(after_help = examples::ACTIVITY)]
    Activity(ActivityArgs),
    /// Show a namespace and its builds
    #[command(after_help = examples::SHOW)]
    Show(ShowArgs),
    /// Show the plan of a rebuild without starting it
    #[command(after_help = examples::PLAN)]
    Plan(PlanArgs),
    /// Explain why a package is rebuilt
    #[command(after_help = examples::WHY)]
    Why(WhyArgs),
    /// Change what a namespace rebuilds, reusing unchanged builds
    #[command(after_help = examples::EDIT)]
    Edit(EditArgs),
    /// Compare the builds of two iterations or namespaces
    #[command(after_help = examples::DIFF)]
    Diff(DiffArgs),
    /// Plan a namespace again, reusing unchanged builds
    #[command(after_help = examples::NEW_ITERATION)]
    NewIteration(NewIterationArgs),
    /// Retry failed builds and requeue their dependents
    #[command(after_help = examples::RETRY)]
    Retry(RetryArgs),
    /// Stop the running builds of a namespace and hold the rest
    #[command(after_help = examples::CANCEL)]
    Cancel(NamespaceArgs),
    /// Continue a cancelled namespace
    #[command(after_help = examples::RESUME)]
    Resume(NamespaceArgs),
    /// Change which namespaces get workers first
    #[command(after_help = examples::PRIORITIZE)]
    Prioritize(PrioritizeArgs),
    /// Remove a namespace with its repositories and logs
    #[command(after_help = examples::DELETE)]
    Delete(DeleteArgs),
    /// Follow a rebuild to its end
    ///
    /// On a terminal, the arrow keys scroll, `f` shows failed builds only, and `q` leaves; the rebuild
    /// continues then, as after Ctrl-C. Exits with 1 if the rebuild failed, and with 2 if it was
    /// cancelled.
    #[command(after_help = examples::WATCH)]
    Watch(WatchArgs),
    /// Print the log of a build
    #[command(after_help = examples::LOGS)]
    Logs(LogsArgs),
    /// List the workers and what they do
    #[command(after_help = examples::WORKERS)]
    Workers(WorkersArgs),
    /// Drain and resume workers (needs an admin token)
    #[command(subcommand, after_help = examples::WORKER)]
    Worker(WorkerCommand),
    /// Open a namespace or a build in a browser
    #[command(after_help = examples::OPEN)]
    Open(OpenArgs),
    /// List the source repositories and their problems
    #[command(after_help = examples::SOURCES)]
    Sources(SourcesArgs),
    /// Create, list and revoke tokens (needs an admin token)
    #[command(subcommand, after_help = examples::TOKEN)]
    Token(TokenCommand),
    /// Save the URL of a server and a token for later commands
    #[command(after_help = examples::LOGIN)]
    Login(LoginArgs),
    /// Check the settings, the server and the token
    ///
    /// Prints a line for each check, with a command or instruction that repairs what it found. Exits
    /// with 1 if a check failed; warnings do not count.
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// List and save settings of this program
    #[command(after_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// Print completions for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Build one package on this machine as a worker would
    ///
    /// From a folder, or as an attempt of a namespace was built. Exits with 1 if the build failed.
    #[command(after_help = examples::BUILD)]
    Build(BuildArgs),
    /// Build one package, and open a shell where it fails
    ///
    /// As `build --shell`. Accepts the number of a build, too: `buildbtw shell 1234` repeats its
    /// newest attempt.
    #[command(after_help = examples::SHELL)]
    Shell(BuildArgs),
    /// Run a command in a root kept in a folder
    #[command(after_help = examples::SANDBOX)]
    Sandbox(SandboxArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn accepts_own_clap_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_readme_is_valid() {
        let readme = include_str!("../../../README.md");
        let commands = readme.lines().filter_map(|line| line.strip_prefix("$ "));
        let mut checked = 0;
        for line in commands.filter(|line| line.starts_with("buildbtw ")) {
            let words = line.split('#').next().unwrap_or_default();
            let parsed = Cli::try_parse_from(words.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            checked += 1;
        }
        assert!(checked > 10, "only {checked} commands");
    }

    /// Splits a line as a shell does, with words in single or double quotes.
    fn unquoted(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for character in line.trim().chars() {
            match (quote, character) {
                (Some(end), character) if end == character => quote = None,
                (None, '\'' | '"') => quote = Some(character),
                (None, character) if character.is_whitespace() => words.push(String::new()),
                (_, character) => words.last_mut().unwrap().push(character),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_example_is_a_valid_command_line() {
        let mut command = Cli::command();
        command.build();
        let mut checked = 0;
        for inner in command
            .get_subcommands()
            .filter(|inner| inner.get_name() != "help")
        {
            let help = inner.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{} has no example", inner.get_name()));
            for line in help.lines().filter(|line| line.starts_with("  buildbtw ")) {
                let words = line.split(['#', '>']).next().unwrap_or_default();
                let parsed = Cli::try_parse_from(unquoted(words));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(line.chars().count() <= 80, "{line}");
                checked += 1;
            }
        }
        assert!(checked >= 20, "only {checked} examples");
    }
}
