//! Builds packages in the jobs of a GitLab: a driver of GitLab Runner's *custom* executor.
//!
//! GitLab Runner starts the program once for every step of a job:
//!
//! ```text
//! buildbtw-executor config              prints the job's folders
//! buildbtw-executor prepare             checks the host and the server, makes the folders
//! buildbtw-executor run SCRIPT STAGE    runs one of the runner's scripts, or builds
//! buildbtw-executor cleanup             removes whatever is left of the job
//! ```
//!
//! and an administrator, or systemd, uses
//!
//! ```text
//! buildbtw-executor check               says whether this host is ready
//! buildbtw-executor reap                removes what killed runners left behind
//! ```
//!
//! The settings of this host are in `/etc/buildbtw/executor.toml`; a job has no influence on them.
//!
//! # The two sides
//!
//! A runner is often an ordinary user, and a sandbox needs root. So the program has two sides:
//!
//! * The **front** (`stages`, `front`) is what the runner starts. It keeps to the runner's contract
//!   (`contract`), runs the runner's scripts in an environment of the job, and writes the job's log.
//! * The **root side** (`root`) is one other process: `buildbtw-executor as-root`, started with sudo when
//!   the front is not root. It has no arguments; what it shall do is one line of JSON on its standard
//!   input, which then stays open: *its end means stop*. So it makes no difference whether the front
//!   was asked to end, was killed, or closed the pipe. The root side believes nothing the front says
//!   about files: job number, attempt, ID token and the runner's process are all it takes.
//!
//! Both watch the runner's process (`runner`, `watch`): a runner that was killed asks nobody to stop.
//!
//! At `build_script` (`step_script`) the script is not run. The root side exchanges the job's ID token
//! for the build it was started for, and then does what a worker does. Log, packages and outcome go to the
//! server; a copy of the log, and of packages that are not too large, come back through its standard
//! output (`frames`).
//!
//! # What lies where
//!
//! ```text
//! /var/lib/buildbtw-executor/      root's
//!   jobs/<job>/                    the runner's: locked while a stage runs
//!     job.json                     the runner's process, and until when the job may live
//!     limits/                      the cgroups of its scripts
//!     builds/ cache/ home/ tmp/    the job's, all that its scripts see
//!   root/jobs/<job>/               root's: locked while a build runs
//!     attempt/                     the log and the packages
//!     sandbox/                     the builder's own
//! ```

pub mod cli;
mod config;
mod contract;
mod exchange;
mod failure;
mod frames;
mod front;
mod id_token;
mod lock;
mod persist;
mod root;
mod runner;
mod stages;
mod watch;

use std::process::ExitCode;

use cli::{Cli, Command};

/// Does what the command line says, and says how the process shall end.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::AsRoot => root::run(),
        command => stages::run(command, cli.config),
    }
}
