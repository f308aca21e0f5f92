//! Builds packages in GitLab jobs: a driver of GitLab Runner's *custom* executor.
//!
//! GitLab Runner starts the program once for every step of a job:
//!
//! ```text
//! buildbtw-executor config              prints the job's folders
//! buildbtw-executor prepare             checks the host and the server, creates the folders
//! buildbtw-executor run SCRIPT STAGE    runs one of the runner's scripts, or builds
//! buildbtw-executor cleanup             removes the job's processes and files
//! ```
//!
//! and an administrator, or systemd, uses
//!
//! ```text
//! buildbtw-executor check               checks whether this host can run jobs
//! buildbtw-executor doctor              reports everything that it checks, with the runner and the server
//! buildbtw-executor reap                removes leftovers of killed jobs
//! buildbtw-executor metrics             serves metrics
//! ```
//!
//! The settings of this host are in `/etc/buildbtw/executor.toml`; a job has no influence on them.
//!
//! # The two sides
//!
//! A runner often runs as an ordinary user, and a sandbox needs root. So the program has two sides:
//!
//! * The **front** (`stages`, `front`) is what the runner starts. It implements the runner's contract
//!   (`contract`), runs the runner's scripts in an environment of the job, and writes the job's log.
//! * The **root side** (`root`) is a second process: `buildbtw-executor as-root`, started with sudo when
//!   the front is not root. It takes no arguments; its request is one line of JSON on its standard
//!   input, which then stays open: *its end means stop*, whether the front was asked to end, was killed,
//!   or closed the pipe. The root side accepts no paths from the front: a request holds nothing but job
//!   number, attempt, ID token and the runner's process.
//!
//! Both watch the runner's process (`runner`, `watch`): a runner that is killed sends no signal to its stages.
//!
//! At `build_script` (`step_script`) the script is not run. The root side exchanges the job's ID token
//! for the build that the job was created for, and then works like a worker. Log, packages and outcome go to
//! the server; a copy of the log, and of packages that are not too large, go to the front through the root
//! side's standard output (`frames`).
//!
//! # Folders
//!
//! ```text
//! /var/lib/buildbtw-executor/      root's
//!   attempts                       a line for every attempt that ended, for metrics
//!   jobs/<job>/                    the runner's: locked while a stage runs
//!     job.json                     the runner's process, and until when the job may live
//!     limits/                      the cgroups of its scripts
//!     builds/ cache/ home/ tmp/    the job's, the only ones that its scripts see
//!   root/jobs/<job>/               root's: locked while a build runs
//!     attempt/                     the log and the packages
//!     sandbox/                     the builder's own
//! ```

pub mod cli;
mod config;
mod contract;
mod doctor;
mod exchange;
mod explanations;
mod failure;
mod frames;
mod front;
mod id_token;
mod lock;
mod records;
mod retry;
mod root;
mod runner;
mod stages;
mod watch;

use std::process::ExitCode;

use cli::{Cli, Command};

/// Runs the command and returns the exit code of the process.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::AsRoot => root::run(),
        Command::Doctor {
            json,
            no_build,
            runner_config,
        } => doctor::run(&doctor::Options {
            config: cli.config,
            is_json: json,
            builds: !no_build,
            runner_config,
        }),
        command => stages::run(command, cli.config),
    }
}
