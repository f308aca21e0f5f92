//! The command `doctor`.

use std::process::ExitCode;

use buildbtw_doctor::{ShownSetting, command};
use buildbtw_settings::{Failure, Parsed};
use buildbtw_worker::cli::{Cli, Doctor};
use buildbtw_worker::doctor::{self, PROGRAM, VERSION};
use clap::CommandFactory as _;

/// Checks the machine, and prints the report.
pub(crate) fn run(args: Doctor, settings: Vec<ShownSetting>) -> anyhow::Result<ExitCode> {
    let is_json = args.json;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(doctor::examine(args, settings));
    // Does not wait for a disk that does not answer.
    runtime.shutdown_background();
    Ok(ExitCode::from(report.print(is_json)?))
}

/// Lists the settings of a command line.
pub(crate) fn settings(parsed: &Parsed<Cli>) -> Vec<ShownSetting> {
    let settings =
        buildbtw_settings::settings(&parsed.command, &parsed.matches, parsed.file.as_ref());
    settings.into_iter().map(ShownSetting::from).collect()
}

/// Reports why the program cannot start: as a report of `doctor`, if that is what was asked for.
pub(crate) fn report_failure(failure: Failure) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match (command::requested(Cli::command(), &arguments), failure) {
        (Some(is_json), Failure::File(why)) => {
            let report = command::unusable(PROGRAM, VERSION, why);
            report
                .print(is_json)
                .map_or(ExitCode::FAILURE, ExitCode::from)
        }
        (_, failure) => failure.report(),
    }
}
