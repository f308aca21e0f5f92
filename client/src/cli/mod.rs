//! The command line: one file per group of commands.

mod global;
mod local;
mod namespaces;
mod planning;
mod server;
mod usage;

use clap::{Parser, Subcommand};

pub use global::Global;
pub use local::{BindArgument, Build, Completions, RepositoryArgument, Sandbox};
pub use namespaces::{Delete, Logs, Namespace, Retry, Show, Watch, Why};
pub use planning::{New, NewIteration, Plan, PlanForm, Spread};
pub use server::{Login, Sources, Token, TokenCreate};
pub use usage::report_usage;

/// Rebuild packages and everything that depends on them
///
/// Exit codes: 0 when all went well; commands that wait for a rebuild exit with 1 when it failed and
/// with 2 when it was cancelled; 3 for every error.
#[derive(Debug, Parser)]
#[command(name = "buildbtw", version, about, max_term_width = 100)]
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
    /// Rebuild packages and everything that depends on them
    New(New),
    /// List the namespaces
    List,
    /// Show a namespace and its builds
    Show(Show),
    /// Show the plan of a rebuild without starting it
    Plan(Plan),
    /// Explain why a package is rebuilt
    Why(Why),
    /// Plan a namespace again, reusing unchanged builds
    NewIteration(NewIteration),
    /// Retry failed builds and requeue the builds that waited for them
    Retry(Retry),
    /// Stop the running builds of a namespace and hold the rest
    Cancel(Namespace),
    /// Continue a cancelled namespace
    Resume(Namespace),
    /// Remove a namespace with its repositories and logs
    Delete(Delete),
    /// Follow a rebuild to its end
    Watch(Watch),
    /// Print the log of a build
    Logs(Logs),
    /// List the source repositories and their problems
    Sources(Sources),
    /// Create, list and revoke tokens (needs an admin token)
    #[command(subcommand)]
    Token(Token),
    /// Save the URL of a server and a token for later commands
    Login(Login),
    /// Print completions for a shell
    Completions(Completions),
    /// Build one package on this machine as a worker would
    Build(Build),
    /// Run a command in a root kept in a folder
    Sandbox(Sandbox),
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
