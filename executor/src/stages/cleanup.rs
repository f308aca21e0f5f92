//! `cleanup`: nothing of a job stays.

use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;

/// Removes everything of the job, and what others left.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    let jobs = Jobs::of(host);
    // Without a job, which happens when not even `config` was reached, there is nothing to remove.
    let removed = match environment.job_if_any() {
        Ok(Some(job)) => jobs.remove(host, job.id),
        Ok(None) => Ok(()),
        Err(failure) => Err(anyhow::anyhow!("{failure}")),
    };
    // Also when that went wrong.
    jobs.reap(host)?;
    Ok(removed?)
}
