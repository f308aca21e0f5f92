//! The command `doctor`.

use std::process::ExitCode;

use buildbtw_doctor::ShownSetting;
use buildbtw_worker::cli::Doctor;
use buildbtw_worker::doctor;

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
