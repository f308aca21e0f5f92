//! The server's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::RunArgs;
use buildbtw_gitlab::GitlabArgs;

/// Plans, schedules and publishes package rebuilds.
#[derive(Debug, Parser)]
#[command(name = "buildbtw-server", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to log, for example `info` or `buildbtw_server=debug`
    #[arg(
        long,
        env = "BUILDBTW_LOG",
        default_value = "info",
        global = true,
        value_name = "FILTER"
    )]
    pub log: String,
}

/// What the server's program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until it is told to stop (SIGTERM or Ctrl-C)
    Run(Box<RunArgs>),
    /// Copy the database, also while the server runs
    Backup(BackupArgs),
    /// Prepare the projects of a GitLab for builds there
    #[command(subcommand)]
    Gitlab(GitlabCommand),
    /// Compare the database with the files on the disk; the server must not run
    Check(CheckArgs),
}

/// What can be done to the projects of a GitLab.
#[derive(Debug, Subcommand)]
pub enum GitlabCommand {
    /// Point all projects of the group at the CI template. Without --apply it only says what would
    /// change; stopped half-way, it goes on with what is left
    SetCiConfig(SetCiConfigArgs),
}

/// What `buildbtw-server gitlab set-ci-config` can be told.
#[derive(Clone, Debug, Args)]
pub struct SetCiConfigArgs {
    /// Where the template is, for example buildbtw.yml@packaging/ci; `:REF` behind it names another
    /// branch than the default one
    #[arg(long, value_name = "PATH@PROJECT")]
    pub template: String,
    /// Change the projects
    #[arg(long)]
    pub apply: bool,
    /// The GitLab and its group; the token needs the scope `api` and the role Maintainer.
    #[command(flatten)]
    pub gitlab: GitlabArgs,
}

/// Where the server keeps its files.
#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// Where database, repositories and logs are kept
    #[arg(
        long,
        env = "BUILDBTW_DATA_DIR",
        default_value = "data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,
}

/// What `buildbtw-server backup` can be told.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// Where the data is.
    #[command(flatten)]
    pub data: DataArgs,
    /// The file to write; it must not be there yet
    #[arg(value_name = "PATH")]
    pub target: PathBuf,
}

/// What `buildbtw-server check` can be told.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Where the data is.
    #[command(flatten)]
    pub data: DataArgs,
    /// Read every package, too, instead of looking at its size
    #[arg(long)]
    pub digests: bool,
    /// Repair what can be repaired, and remove what belongs to nothing
    #[arg(long)]
    pub repair: bool,
}
