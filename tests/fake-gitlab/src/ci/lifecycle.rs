//! Status transitions of jobs and their pipelines.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::change::Change;
use super::config::When;
use crate::state::jobs::{Job, JobId};
use crate::state::pipelines::{Pipeline, PipelineId};
use crate::state::status::Status;

/// GitLab's failure reasons: those that runners report, and those for which it ends a job itself.
const FAILURE_REASONS: [&str; 21] = [
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "job_execution_timeout",
    "image_pull_failure",
    "runner_interrupted",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "archived_failure",
    "data_integrity_failure",
    "trace_size_exceeded",
    "job_execution_server_timeout",
    "stuck_pending_with_matching_runners",
    "stuck_pending_no_matching_runners",
    "no_updates_running",
    "no_updates_canceling",
    "server_timeout_running",
    "server_timeout_canceling",
    "no_matching_runner",
];

impl Change<'_> {
    /// Makes the jobs of the current stage pending, and skips those that can no longer run.
    pub(crate) fn process(&mut self, id: PipelineId) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipeline(id)?;
        let mut failed = false;
        for stage in &pipeline.stages {
            let jobs = self.current_jobs(&pipeline);
            let of_stage = jobs.iter().filter(|job| job.stage == *stage);
            let mut is_settled = true;
            let mut stage_failed = false;
            for job in of_stage {
                let job = match job.status {
                    Status::Created => self.begin(job, failed)?,
                    _ => Arc::clone(job),
                };
                is_settled &= job.status.is_complete() || job.is_passed();
                stage_failed |=
                    matches!(job.status, Status::Failed | Status::Canceled) && !job.allow_failure;
            }
            failed |= stage_failed;
            if !is_settled {
                break;
            }
        }
        self.refresh(id)
    }

    /// Starts a job of the current stage.
    fn begin(&mut self, job: &Job, failed: bool) -> Result<Arc<Job>> {
        let when = job.config().map_or(When::OnSuccess, |config| config.when);
        let status = match when {
            When::OnSuccess if failed => Status::Skipped,
            When::OnFailure if !failed => Status::Skipped,
            When::Manual if failed => Status::Skipped,
            When::Manual => Status::Manual,
            When::OnSuccess | When::OnFailure | When::Always => Status::Pending,
        };
        self.move_to(job.id, status)
    }

    /// Sets the status of a job, with the times that belong to it.
    pub(crate) fn move_to(&mut self, id: JobId, status: Status) -> Result<Arc<Job>> {
        let now = self.now;
        self.set_job(id, |job| {
            job.status = status;
            match status {
                Status::Pending => job.queued_at = Some(now),
                Status::Running => job.started_at = Some(now),
                _ if status.is_complete() => job.finished_at = Some(now),
                _ => {}
            }
        })
    }

    /// Finishes a job and continues the pipeline. A cancelled job stays cancelled, whatever its runner reports.
    pub(crate) fn finish(
        &mut self,
        id: JobId,
        status: Status,
        reason: Option<&str>,
        exit_code: Option<i64>,
    ) -> Result<Arc<Job>> {
        ensure!(status.is_complete(), "`{status}` is not a final status");
        let now = self.now;
        let was = self.job(id)?.status;
        ensure!(!was.is_complete(), "the job is already {was}");
        let status = match was {
            Status::Canceling => Status::Canceled,
            _ => status,
        };
        let reason = reason.map(|reason| match FAILURE_REASONS.contains(&reason) {
            true => reason.to_owned(),
            false => "unknown_failure".to_owned(),
        });
        let job = self.set_job(id, |job| {
            job.status = status;
            job.finished_at = Some(now);
            job.exit_code = exit_code;
            job.failure_reason = match status {
                Status::Failed => Some(reason.unwrap_or_else(|| "unknown_failure".to_owned())),
                _ => None,
            };
        })?;
        self.process(job.pipeline)?;
        Ok(job)
    }

    /// Cancels a job; a runner that can clean up first gets the time to do so.
    pub(crate) fn cancel_job(&mut self, id: JobId) -> Result<Arc<Job>> {
        let job = self.job(id)?;
        if !job.status.is_cancelable() {
            return Ok(job);
        }
        let gracefully = job
            .assigned
            .as_ref()
            .is_some_and(|assigned| assigned.acknowledged && assigned.cancels_gracefully);
        let status = match job.status {
            Status::Running if gracefully => Status::Canceling,
            _ => Status::Canceled,
        };
        self.move_to(id, status)
    }

    /// Cancels the unfinished jobs of a pipeline.
    pub(crate) fn cancel_pipeline(&mut self, id: PipelineId) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipeline(id)?;
        for job in self.current_jobs(&pipeline) {
            self.cancel_job(job.id)?;
        }
        self.refresh(id)
    }

    /// Deletes a pipeline with its jobs.
    pub(crate) fn delete_pipeline(&mut self, id: PipelineId) -> Result<()> {
        let pipeline = self.pipeline(id)?;
        for job in &pipeline.jobs {
            self.state.jobs.remove(job);
            self.state.traces.remove(job);
            self.state.artifacts.remove(job);
            self.state.waiting.remove(job);
            self.state.taken.remove(job);
        }
        self.state
            .project_pipelines
            .remove(&(pipeline.project.0, id.0));
        self.state.pipelines.remove(&id.0);
        self.note();
        Ok(())
    }
}
