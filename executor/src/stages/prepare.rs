//! `prepare`: whether the job has a chance, and its folders.

use std::io::Write as _;

use super::check;
use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;
use crate::runner::Process;
use crate::watch::{LOST, Watch};

/// Each job has a folder of its own, which is gone afterwards: there is no place for what is kept.
const NO_CACHE: &str = "this runner keeps no caches, and the job has one: remove `cache:` from its CI \
                        configuration (a build needs none, its dependencies come from the repositories)";

/// Checks everything, tidies up after others, and makes the folders.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    // While it is sure to be there: checking takes a moment.
    let runner = Process::runner();
    let watch = Watch::start(runner.iter().cloned().collect());
    let job = environment.job()?;
    check::host_is_ready(host, &watch)?;
    if job.has_cache {
        return Err(Failure::Final(NO_CACHE.to_owned()));
    }
    let jobs = Jobs::of(host);
    if let Err(error) = jobs.reap(host) {
        // This job does not suffer from what another one left.
        let _ = writeln!(std::io::stderr(), "WARNING: {error:#}");
    }
    let entered = jobs.create(host, &job, runner)?;
    if watch.is_lost() {
        jobs.remove_entered(host, job.id, entered)?;
        return Err(Failure::system(LOST));
    }
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
