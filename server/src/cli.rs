//! The server's command line.

use clap::{Parser, Subcommand};

use crate::config::RunArgs;

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
    Run(RunArgs),
}
