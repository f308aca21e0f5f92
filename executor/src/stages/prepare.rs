//! `prepare`: checks whether the job can run, and creates its folders.

use std::io::Write as _;

use buildbtw_model::hide_user_info;

use super::check;
use crate::contract::Environment;
use crate::explanations;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;
use crate::runner::Process;
use crate::watch::{LOST, Watch};

/// Checks host and job, removes what killed jobs left, and creates the job's folders.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    // Before the checks, which take a moment: the runner could be gone afterwards.
    let runner = Process::runner();
    let watch = Watch::start(runner.iter().cloned().collect());
    let job = environment.job()?;
    check::host_is_ready(host, &watch)?;
    if job.has_cache {
        return Err(Failure::of_configuration(explanations::no_cache()));
    }
    let jobs = Jobs::of(host);
    if let Err(error) = jobs.reap(host) {
        // What another job left does not affect this one.
        let _ = writeln!(std::io::stderr(), "WARNING: {error:#}");
    }
    let locked = jobs.create(host, &job, runner)?;
    if watch.has_runner_exited() {
        jobs.remove_and_unlock(host, job.id, locked)?;
        return Err(Failure::system(LOST));
    }
    writeln!(
        std::io::stdout(),
        "{} builds with {}",
        host.config.name()?,
        hide_user_info(&host.config.server)
    )?;
    if host.config.gitlab_runner().is_none() {
        let _ = writeln!(
            std::io::stdout(),
            "WARNING: {}",
            explanations::no_gitlab_runner()
        );
    }
    Ok(())
}
