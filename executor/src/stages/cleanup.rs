//! `cleanup`: removes a job's processes and files.

use crate::contract::Environment;
use crate::failure::Failure;
use crate::front::Host;
use crate::front::jobs::Jobs;

/// Removes the job's processes and files, and what killed jobs left.
pub(super) fn run(host: &Host, environment: &Environment) -> Result<(), Failure> {
    let jobs = Jobs::of(host);
    // There is no job when the runner failed before `config`.
    let removed = match environment.job_if_any() {
        Ok(Some(job)) => jobs.remove(host, job.id),
        Ok(None) => Ok(()),
        Err(failure) => Err(failure.explanation().into()),
    };
    // Also after a failure.
    jobs.reap(host)?;
    Ok(removed?)
}
