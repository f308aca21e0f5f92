//! The client as a program: parses, wires and waits.

use std::process::ExitCode;

use buildbtw::cli::Cli;
use buildbtw::report_error;
use clap::Parser as _;

fn main() -> ExitCode {
    // Sandboxes start this program again, before it may have any thread.
    buildbtw_builder::run_helper_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return buildbtw::cli::report_usage(&error),
    };
    cli.global.color.write_global();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(buildbtw::run(cli));
            // A prompt or a file that still blocks a thread is no reason to stay.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
