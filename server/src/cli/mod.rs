//! The server's command line: all flags and environment variables, except those of the connection to GitLab, which
//! other programs have, too (`buildbtw_gitlab::GitlabArgs`). `config.rs` has the checked settings.

mod connections;
mod data;
mod metrics;
mod network;
mod pipelines;
mod run;
mod values;
mod workers;

use std::path::PathBuf;

use buildbtw_gitlab::GitlabArgs;
use clap::{Args, Parser, Subcommand};

pub use connections::ConnectionArgs;
pub use data::DataArgs;
pub use network::NetworkArgs;
pub use pipelines::PipelineArgs;
pub use run::RunArgs;

/// Plan, schedule and publish package rebuilds
#[derive(Debug, Parser)]
#[command(name = "buildbtw-server", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Set what to log: a level, or directives
    ///
    /// For example `info`, or `info,buildbtw_server=debug`.
    #[arg(
        long,
        env = "BUILDBTW_LOG",
        default_value = "info",
        global = true,
        value_name = "FILTER"
    )]
    pub log: String,
}

/// Commands of the server's program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or Ctrl-C
    Run(Box<RunArgs>),
    /// Back up the database, the packages and the logs
    ///
    /// The server may run meanwhile: the backup has the state of one moment. On the disk of the data
    /// folder it takes hardly any space, because its packages and logs are hard links.
    Backup(BackupArgs),
    /// Restore a backup into an empty data folder
    ///
    /// Writes the repository databases, and compares every package with its digest. Exits with 2 if
    /// it finds problems. Run it as the server's user.
    Restore(RestoreArgs),
    /// Prepare a group's projects for builds on GitLab
    #[command(subcommand)]
    Gitlab(GitlabCommand),
    /// Compare the database with the files on disk
    ///
    /// The server must not run.
    Check(CheckArgs),
}

/// Commands about the projects of a GitLab group.
#[derive(Debug, Subcommand)]
pub enum GitlabCommand {
    /// Point every project of the group at the CI template
    ///
    /// Without --apply, prints what would change. An interrupted run can be repeated: it continues
    /// with the projects that are left.
    SetCiConfig(SetCiConfigArgs),
}

/// Options of `buildbtw-server gitlab set-ci-config`.
#[derive(Clone, Debug, Args)]
pub struct SetCiConfigArgs {
    /// Location of the CI template
    ///
    /// For example buildbtw.yml@packaging/ci. Append `:REF` for another branch than the default
    /// branch.
    #[arg(long, value_name = "PATH@PROJECT")]
    pub template: String,
    /// Change the projects
    #[arg(long)]
    pub apply: bool,
    /// The GitLab and its group; the token needs the scope `api` and the role Maintainer.
    #[command(flatten)]
    pub gitlab: GitlabArgs,
}

/// Options of `buildbtw-server backup`.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// The data folder.
    #[command(flatten)]
    pub data: DataArgs,
    /// Folder to create, or `-` for a tar archive to stdout
    #[arg(value_name = "PATH")]
    pub target: PathBuf,
}

/// Options of `buildbtw-server restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// The data folder.
    #[command(flatten)]
    pub data: DataArgs,
    /// Folder or tar archive of the backup, `-` for stdin
    #[arg(value_name = "PATH")]
    pub source: PathBuf,
}

/// Options of `buildbtw-server check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The data folder.
    #[command(flatten)]
    pub data: DataArgs,
    /// Read every package and compare its digest, not only its size
    #[arg(long)]
    pub digests: bool,
    /// Fix repairable problems and remove unreferenced files
    #[arg(long)]
    pub repair: bool,
}
