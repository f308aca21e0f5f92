//! The server's command line: all flags and environment variables, except those of the connection to GitLab, which
//! other programs have, too (`buildbtw_gitlab::GitlabArgs`). The configuration file sets the same flags
//! (`buildbtw_settings`). `config.rs` has the checked settings.

mod connections;
mod data;
mod doctor;
mod metrics;
mod network;
mod pipelines;
mod run;
mod telemetry;
mod values;
mod workers;

use std::ffi::OsString;
use std::path::PathBuf;

use buildbtw_gitlab::GitlabArgs;
use buildbtw_settings::{Failure, Parsed, Program};
use buildbtw_telemetry::logging::{LogFormat, log_filter};
use clap::{Args, Parser, Subcommand};

pub use connections::ConnectionArgs;
pub use data::DataArgs;
pub use doctor::DoctorArgs;
pub use network::NetworkArgs;
pub use pipelines::PipelineArgs;
pub use run::RunArgs;
pub use telemetry::TelemetryArgs;

/// The configuration file.
const PROGRAM: Program<'_> = Program {
    command: "run",
    default_file: "/etc/buildbtw/server.toml",
};

/// Parses the command line, whose first argument is the name of the program, with the configuration file.
///
/// # Errors
/// When an argument, a variable or a line of the file is invalid.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed<Cli>, Failure> {
    buildbtw_settings::parse(&PROGRAM, arguments)
}

/// Plan, schedule and publish package rebuilds
#[derive(Debug, Parser)]
#[command(name = "buildbtw-server", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// File with settings
    ///
    /// Flags and environment variables override it. [default: /etc/buildbtw/server.toml, if it
    /// exists]
    #[arg(
        long,
        env = "BUILDBTW_SERVER_CONFIG",
        global = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// Log filter: a level, or directives
    ///
    /// For example `info`, or `info,buildbtw_server=debug`.
    #[arg(
        long,
        env = "BUILDBTW_LOG",
        default_value = "info",
        value_parser = log_filter,
        global = true,
        value_name = "FILTER"
    )]
    pub log: String,
    /// Format of the log
    #[arg(
        long,
        env = "BUILDBTW_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Text,
        global = true,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// Commands of the server's program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or Ctrl-C
    Run(Box<RunArgs>),
    /// Back up the database, the packages and the logs
    ///
    /// The server may keep running: the backup has the state of one moment. On the disk of the data
    /// folder it takes hardly any space, because its packages and logs are hard links.
    Backup(BackupArgs),
    /// Restore a backup into an empty data folder
    ///
    /// Writes the repository databases, and compares every package with its digest. Exits with 2 if
    /// it finds problems. The files belong to the owner of the data folder, also if root runs it.
    Restore(RestoreArgs),
    /// Prepare a group's projects for builds on GitLab
    #[command(subcommand)]
    Gitlab(GitlabCommand),
    /// Compare the database with the files on disk
    ///
    /// Stop the server first.
    Check(CheckArgs),
    /// Check the installation: settings, files, database, GitLab
    ///
    /// Takes the settings of `run`, and changes nothing; the server may be running. Prints a line
    /// for each check, with a command or instruction that repairs what it found. Exits with 1 if a
    /// check failed; warnings do not count.
    Doctor(Box<DoctorArgs>),
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
    /// For example buildbtw.yml@packaging/ci. Append `:REF` for a branch other than the default
    /// branch.
    #[arg(long, value_name = "PATH@PROJECT")]
    pub template: String,
    /// Change the projects
    #[arg(long)]
    pub apply: bool,
    /// The GitLab instance and its group; the token needs the scope `api` and the role Maintainer.
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

#[cfg(test)]
mod tests;
