//! `prepare`: whether the job has a chance, and its folders.

use std::io::Write as _;

use super::check;
use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;
use crate::front::runner::Process;

/// Checks everything, tidies up after others, and makes the folders.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    // While it is sure to be there: checking takes a moment.
    let runner = Process::runner();
    let job = environment.job()?;
    check::host_is_ready(host)?;
    let jobs = Jobs::of(host);
    if let Err(error) = jobs.reap(host) {
        // This job does not suffer from what another one left.
        let _ = writeln!(std::io::stderr(), "WARNING: {error:#}");
    }
    let _entered = jobs.create(host, &job, runner)?;
    writeln!(
        std::io::stdout(),
        "{} builds with {}",
        host.config.name()?,
        host.config.server
    )?;
    if host.config.gitlab_runner().is_none() {
        let _ = writeln!(std::io::stdout(), "WARNING: {}", check::NO_GITLAB_RUNNER);
    }
    Ok(())
}
