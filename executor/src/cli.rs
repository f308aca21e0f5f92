//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Build packages in GitLab jobs
///
/// A driver for GitLab Runner's custom executor: the runner's config.toml names this program as
/// config_exec, prepare_exec, run_exec and cleanup_exec.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// File with the settings of this host
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "BUILDBTW_EXECUTOR_CONFIG",
        default_value = crate::config::DEFAULT_PATH
    )]
    pub config: PathBuf,
    /// Operation to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Operations of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the folders of a job as JSON (for the runner)
    Config,
    /// Check the host and create a job's folders (for the runner)
    ///
    /// Also checks that the server is reachable.
    Prepare,
    /// Run a job's script or build its package (for the runner)
    ///
    /// The stages `build_script` and `step_script` do not run the script: they build the package of
    /// the job. All other scripts run in an environment that contains the job's own folders and
    /// the host's /usr only.
    Run {
        /// Script of the runner
        script: PathBuf,
        /// Stage of the job
        stage: String,
    },
    /// Remove a job's processes and files (for the runner)
    ///
    /// Can be repeated safely, whatever state the job is in.
    Cleanup,
    /// Remove leftovers of killed jobs
    ///
    /// A job whose runner was killed leaves processes and files. Running jobs are not affected. Run it
    /// at boot and every few minutes.
    Reap,
    /// Check whether this host can run jobs
    Check,
    /// Check this host, its runner and the server, line by line
    ///
    /// Run it as the user of gitlab-runner; jobs may be running. Creates the state folder if it does
    /// not exist, and changes nothing else. Prints a line for each setting and check, with a command
    /// or instruction that repairs what it found. Exits with 1 if a check failed; warnings do not
    /// count.
    Doctor {
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
        /// Do not build a package as a test
        #[arg(long)]
        no_build: bool,
        /// Configuration of gitlab-runner
        #[arg(
            long,
            value_name = "FILE",
            default_value = crate::doctor::RUNNER_CONFIG
        )]
        runner_config: PathBuf,
    },
    /// Serve metrics of this host's jobs
    ///
    /// Runs until it is stopped. Start it as root or as the user of gitlab-runner.
    Metrics {
        /// Address and port to listen on
        #[arg(
            long,
            value_name = "ADDRESS",
            default_value = "127.0.0.1:9466",
            value_parser = buildbtw_model::settings::address
        )]
        listen: SocketAddr,
    },
    /// Run the operations that need root
    ///
    /// Reads one line of JSON from standard input and stops when the input ends.
    #[command(hide = true)]
    AsRoot,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn accepts_own_clap_definition() {
        super::Cli::command().debug_assert();
    }
}
