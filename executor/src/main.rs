//! The executor as a program: parses, dispatches, and ends as the runner expects.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Sandboxes start this program again, before it may have any thread.
    buildbtw_builder::run_helper_if_asked();
    buildbtw_executor::run(buildbtw_executor::cli::Cli::parse())
}
