//! Assigning jobs to runners.

use std::sync::Arc;

use anyhow::Result;

use super::change::Change;
use crate::state::jobs::{Assigned, Job, JobId};
use crate::state::runners::Runner;
use crate::state::status::Status;

/// The capabilities that a runner reports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunnerCapabilities {
    /// It confirms a job before it starts it.
    pub(crate) acknowledges: bool,
    /// It cleans up after a cancelled job.
    pub(crate) cancels_gracefully: bool,
}

impl Change<'_> {
    /// Assigns the oldest suitable job to a runner.
    pub(crate) fn take(
        &mut self,
        runner: &Runner,
        system_id: &str,
        abilities: RunnerCapabilities,
    ) -> Result<Option<Arc<Job>>> {
        let found = self.state.waiting.iter().copied().find(|id| {
            let job = self.state.jobs.get(id);
            job.is_some_and(|job| self.fits(runner, job))
        });
        let Some(id) = found else {
            return Ok(None);
        };
        let now = self.now;
        let assigned = Assigned {
            runner: runner.id,
            system_id: system_id.to_owned(),
            at: now,
            acknowledged: false,
            contacted_at: now,
            cancels_gracefully: abilities.cancels_gracefully,
        };
        let job = self.set_job(JobId(id), |job| job.assigned = Some(assigned))?;
        if abilities.acknowledges {
            return Ok(Some(job));
        }
        self.acknowledge(job.id).map(Some)
    }

    fn fits(&self, runner: &Runner, job: &Job) -> bool {
        let pipeline = self.state.pipelines.get(&job.pipeline.0);
        let is_protected = pipeline.is_some_and(|pipeline| pipeline.is_protected);
        runner.takes(job.project, is_protected, job.tags())
    }

    /// Records that a runner confirmed its job.
    pub(crate) fn acknowledge(&mut self, id: JobId) -> Result<Arc<Job>> {
        self.set_job(id, |job| {
            if let Some(assigned) = &mut job.assigned {
                assigned.acknowledged = true;
            }
        })?;
        let job = self.move_to(id, Status::Running)?;
        self.refresh(job.pipeline)?;
        Ok(job)
    }

    /// Records contact from the runner of a job.
    pub(crate) fn record_contact(&mut self, id: JobId) -> Result<Arc<Job>> {
        let now = self.now;
        self.set_job(id, |job| {
            if let Some(assigned) = &mut job.assigned {
                assigned.contacted_at = now;
            }
        })
    }
}
