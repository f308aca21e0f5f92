//! The command `doctor`.

use std::process::ExitCode;

use buildbtw_doctor::ShownSetting;
use buildbtw_server::cli::DoctorArgs;
use buildbtw_server::doctor;
use buildbtw_server::time::Clock;

/// Checks the installation, and prints the report.
pub(crate) async fn run(
    args: &DoctorArgs,
    settings: Vec<ShownSetting>,
) -> anyhow::Result<ExitCode> {
    let report = doctor::examine(args, settings, &Clock::default()).await;
    Ok(ExitCode::from(report.print(args.json)?))
}
