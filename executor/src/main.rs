//! Entry point of the executor: exits with the codes that the runner expects.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Sandboxes start this program as their helper, which must not have a second thread yet.
    buildbtw_builder::run_helper_if_asked();
    // The runner or sudo may have left descriptors open, and keys in the session keyring.
    if let Err(error) = buildbtw_builder::drop_inherited() {
        let _ = writeln!(
            std::io::stderr(),
            "ERROR: cannot close inherited file descriptors: {error}"
        );
        return ExitCode::FAILURE;
    }
    buildbtw_executor::run(buildbtw_executor::cli::Cli::parse())
}
