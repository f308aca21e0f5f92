//! The command line: one file per group of commands.

mod global;
mod local;
mod namespaces;
mod planning;
mod server;
mod usage;

use clap::{Parser, Subcommand};

pub use global::Global;
pub use local::{BindArgument, BuildArgs, CompletionsArgs, RepositoryArgument, SandboxArgs};
pub use namespaces::{
    DeleteArgs, ListArgs, LogsArgs, NamespaceArgs, PrioritizeArgs, RetryArgs, ShowArgs, WatchArgs,
    WhyArgs,
};
pub use planning::{EditArgs, NewArgs, NewIterationArgs, PlanArgs, PlanForm, SpreadArgs};
pub use server::{
    ActivityArgs, LoginArgs, SourcesArgs, TokenCommand, TokenCreateArgs, WorkerCommand,
};
pub use usage::report_usage;

/// Rebuild packages and their dependents
///
/// Exit codes: 0 when all went well; commands that wait for a rebuild exit with 1 when it failed and
/// with 2 when it was cancelled; 3 for every error.
#[derive(Debug, Parser)]
#[command(name = "buildbtw", version, max_term_width = 100)]
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
    New(NewArgs),
    /// List the namespaces
    List(ListArgs),
    /// List what happened lately, and who did it
    Activity(ActivityArgs),
    /// Show a namespace and its builds
    Show(ShowArgs),
    /// Show the plan of a rebuild without starting it
    Plan(PlanArgs),
    /// Explain why a package is rebuilt
    Why(WhyArgs),
    /// Change what a namespace rebuilds, reusing unchanged builds
    Edit(EditArgs),
    /// Plan a namespace again, reusing unchanged builds
    NewIteration(NewIterationArgs),
    /// Retry failed builds and requeue their dependents
    Retry(RetryArgs),
    /// Stop the running builds of a namespace and hold the rest
    Cancel(NamespaceArgs),
    /// Continue a cancelled namespace
    Resume(NamespaceArgs),
    /// Change which namespaces get workers first
    Prioritize(PrioritizeArgs),
    /// Remove a namespace with its repositories and logs
    Delete(DeleteArgs),
    /// Follow a rebuild to its end
    Watch(WatchArgs),
    /// Print the log of a build
    Logs(LogsArgs),
    /// List the workers and what they do
    Workers,
    /// Drain and resume workers (needs an admin token)
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// List the source repositories and their problems
    Sources(SourcesArgs),
    /// Create, list and revoke tokens (needs an admin token)
    #[command(subcommand)]
    Token(TokenCommand),
    /// Save the URL of a server and a token for later commands
    Login(LoginArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Build one package on this machine as a worker would
    Build(BuildArgs),
    /// Run a command in a root kept in a folder
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
}
