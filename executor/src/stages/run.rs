//! `run`: one of the runner's scripts, or the build in place of the job's own.

use std::path::Path;

use crate::contract::{Environment, Stage};
use crate::failure::Failure;
use crate::front::jobs::Jobs;
use crate::front::{Host, build, script};

/// Runs a stage of a job that was prepared.
pub(super) fn run(
    host: &Host,
    environment: &Environment,
    script: &Path,
    stage: &str,
) -> Result<(), Failure> {
    let job = environment.job()?;
    let entered = Jobs::of(host).enter(job.id)?;
    match Stage::from_name(stage) {
        Stage::Build => build::run(host, &job, &entered.folder),
        stage => script::run(host, &entered.folder, script, stage),
    }
}
