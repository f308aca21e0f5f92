//! The command `doctor`.

use std::process::ExitCode;

use buildbtw_doctor::{ShownSetting, command};
use buildbtw_server::cli::{Cli, DoctorArgs};
use buildbtw_server::doctor::{self, PROGRAM, VERSION};
use buildbtw_server::time::Clock;
use buildbtw_settings::{Failure, Parsed};
use clap::CommandFactory as _;

/// Checks the installation, and prints the report.
pub(crate) async fn run(
    args: &DoctorArgs,
    settings: Vec<ShownSetting>,
) -> anyhow::Result<ExitCode> {
    let report = doctor::examine(args, settings, &Clock::default()).await;
    Ok(ExitCode::from(report.print(args.json)?))
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
