//! `run`: runs one of the runner's scripts, or the build in place of the job's own script.

use std::path::Path;

use crate::contract::{Environment, Stage};
use crate::failure::Failure;
use crate::front::jobs::Jobs;
use crate::front::privileged::RootSide;
use crate::front::{Host, build, script};
use crate::watch::{LOST, Watch};

/// Runs a stage of a prepared job.
pub(super) fn run(
    host: &Host,
    environment: &Environment,
    script: &Path,
    stage: &str,
) -> Result<(), Failure> {
    let job = environment.job()?;
    let jobs = Jobs::of(host);
    let locked = jobs.lock(job.id)?;
    let folder = &locked.folder;
    let (result, watch) = match Stage::from_name(stage) {
        Stage::Build => {
            // Before any other thread starts, so that all threads inherit the mask.
            let signals = RootSide::block_signals()?;
            let watch = Watch::start(folder.runners());
            (build::run(host, &job, folder, signals, &watch), watch)
        }
        stage => {
            let watch = Watch::start(folder.runners());
            (script::run(host, folder, script, stage, &watch), watch)
        }
    };
    if watch.has_runner_exited() {
        // The runner that would start `cleanup` is gone.
        jobs.remove_and_unlock(host, job.id, locked)?;
        return Err(Failure::system(LOST));
    }
    result
}
