//! The executor as a program: parses, dispatches, and ends as the runner expects.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Sandboxes start this program again, before it may have any thread.
    buildbtw_builder::run_helper_if_asked();
    // The runner or sudo may have left descriptors open, and keys in the session keyring.
    if let Err(error) = buildbtw_builder::drop_inherited() {
        let _ = writeln!(
            std::io::stderr(),
            "ERROR: closing inherited descriptors: {error}"
        );
        return ExitCode::FAILURE;
    }
    buildbtw_executor::run(buildbtw_executor::cli::Cli::parse())
}
