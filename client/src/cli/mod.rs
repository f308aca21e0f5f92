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

/// Rebuilds packages and everything that depends on them.
///
/// Exit codes: 0 when all went well; commands that wait for a rebuild exit with 1 when it failed and
/// with 2 when it was cancelled; 3 for every error.
#[derive(Debug, Parser)]
#[command(name = "buildbtw", version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the client can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Rebuild something and everything that depends on it.
    New(New),
    /// List the namespaces.
    List,
    /// Show a namespace and its builds.
    Show(Show),
    /// Show what a rebuild would be, without starting it.
    Plan(Plan),
    /// Explain why something is rebuilt.
    Why(Why),
    /// Plan a namespace again; what is as before is carried over.
    NewIteration(NewIteration),
    /// Try failed builds again, and build what waited for them.
    Retry(Retry),
    /// Stop what runs of a namespace and hold the rest.
    Cancel(Namespace),
    /// Let a cancelled namespace go on.
    Resume(Namespace),
    /// Remove a namespace with its repositories and logs.
    Delete(Delete),
    /// Follow a rebuild to its end.
    Watch(Watch),
    /// Print the log of a build.
    Logs(Logs),
    /// List the source repositories and what is wrong with them.
    Sources(Sources),
    /// Make, list and revoke tokens; needs a token of scope admin.
    #[command(subcommand)]
    Token(Token),
    /// Keep a server's address and a token for later commands.
    Login(Login),
    /// Print completions for a shell.
    Completions(Completions),
    /// Build one package on this machine, as a worker would.
    Build(Build),
    /// Run a command in a root that is kept in a folder.
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
