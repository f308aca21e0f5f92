//! `doctor`: checks the installation of a server, whether it runs or not. Nothing is changed.

mod base;
#[cfg(test)]
mod check_snapshots;
mod configuration;
mod data;
mod database;
mod gitlab;
mod listening;
mod running;
mod sources;

use std::time::Duration;

use buildbtw_doctor::{Check, Report, ShownSetting};

use crate::cli::DoctorArgs;
use crate::sources::SourceConfig;
use crate::time::Clock;

/// The program, in reports.
pub const PROGRAM: &str = "buildbtw-server";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long the whole database may take to read.
const DATABASE_DEADLINE: Duration = Duration::from_secs(120);

/// Checks an installation with these settings. `clock` tells the time of this machine.
pub async fn examine(args: &DoctorArgs, settings: Vec<ShownSetting>, clock: &Clock) -> Report {
    let mut report = Report::new(PROGRAM, VERSION);
    report.settings = settings;
    let configuration = configuration::read(&args.run, clock);
    report.extend(configuration.checks);
    sources::check(&mut report, configuration.sources.as_ref()).await;
    let data = args.run.data.data_dir.clone();
    let secrets = data::secret_files(&args.run);
    report
        .run_blocking("data folder", move || data::check_files(&data, &secrets))
        .await;
    let (data, reserve_mib) = (args.run.data.data_dir.clone(), args.run.disk_reserve_mib);
    report
        .run_blocking("disk", move || data::check_disk(&data, reserve_mib))
        .await;
    let running = running::Running::find(&args.run.data.data_dir);
    let mut webhooks = None;
    let read = async {
        let found = database::check(&args.run.data.data_dir, running.may_run()).await;
        webhooks = found.last_webhook;
        found.checks
    };
    report.run_within(DATABASE_DEADLINE, "database", read).await;
    listening::check(&mut report, &args.run, &running).await;
    running
        .check(&mut report, configuration.config.as_ref(), &args.run)
        .await;
    base::check(&mut report, &args.run).await;
    match (&configuration.sources, &configuration.config) {
        (Some(SourceConfig::Gitlab { gitlab, .. }), Some(config)) => {
            let subject = gitlab::Subject {
                gitlab,
                config,
                reports: !args.run.gitlab_report.is_empty(),
                template: args.template.as_deref(),
                last_webhook: webhooks,
                clock,
            };
            subject.check(&mut report).await;
        }
        (Some(SourceConfig::Directory { .. }), _) => {
            report.add(Check::skipped("GitLab", "the sources are in a folder"));
        }
        _ => report.add(Check::skipped(
            "GitLab",
            "the settings of the sources cannot be used",
        )),
    }
    report
}
