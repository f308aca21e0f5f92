//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Builds packages in GitLab jobs.
///
/// A driver of GitLab Runner's custom executor: config.toml of the runner names this program for each of
/// config_exec, prepare_exec, run_exec and cleanup_exec. The settings are in a file of this host.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// The settings of this host.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BUILDBTW_EXECUTOR_CONFIG",
        default_value = crate::config::DEFAULT_PATH
    )]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the folders of a job, as JSON (for the runner)
    Config,
    /// Check the host and the server, and make the folders of a job (for the runner)
    Prepare,
    /// Run one of a job's scripts, or build its package (for the runner)
    ///
    /// At the stages `build_script` and `step_script` the script is not run: the package that the job was
    /// made for is built. All other scripts run in an environment that holds the job's own folders,
    /// this machine's /usr and nothing else.
    Run {
        /// The script that the runner wrote.
        script: PathBuf,
        /// What it is for.
        stage: String,
    },
    /// Remove everything of a job (for the runner)
    ///
    /// May be repeated, and works whatever the job did before.
    Cleanup,
    /// Remove what is left of jobs whose runner was killed
    ///
    /// Running jobs are left alone. Start it at boot and every few minutes.
    Reap,
    /// Say whether this host can run jobs, and what it lacks
    Check,
    /// Do what the rest of this program may not do without root
    ///
    /// Takes one line of JSON from standard input and stops when that ends.
    #[command(hide = true)]
    AsRoot,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
