//! The program `buildbtw`: parses the command line, runs the command and reports its error.

use std::process::ExitCode;

use buildbtw::cli::Cli;
use buildbtw::report_error;
use clap::Parser as _;

fn main() -> ExitCode {
    // Sandboxes start this program again, and need it without threads.
    buildbtw_builder::run_helper_if_asked();
    if buildbtw::complete_if_asked() {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return match buildbtw::list_fields_if_asked(&error) {
                Some(result) => exit_code(result),
                None => buildbtw::cli::report_usage(&error),
            };
        }
    };
    cli.global.color.write_global();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(buildbtw::run(cli));
            // Does not wait for a thread that a prompt or a file still blocks.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    exit_code(result)
}

/// Reports the error of a command, and returns the code to exit with.
fn exit_code(result: Result<u8, buildbtw::Error>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
