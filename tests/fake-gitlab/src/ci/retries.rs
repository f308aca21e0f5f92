//! Retries of jobs.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::change::Change;
use crate::state::jobs::{Job, JobId};
use crate::state::pipelines::{Pipeline, PipelineId};
use crate::state::status::Status;

impl Change<'_> {
    /// Creates a job that replaces a finished one.
    pub(crate) fn retry_job(&mut self, id: JobId) -> Result<Arc<Job>> {
        let job = self.job(id)?;
        ensure!(job.is_retryable(), "Job is not retryable");
        let new = self.clone_job(&job)?;
        self.reopen_skipped(job.pipeline)?;
        self.process(job.pipeline)?;
        self.job(new)
    }

    /// Retries failed and cancelled jobs; does nothing if there are none.
    pub(crate) fn retry_pipeline(&mut self, id: PipelineId) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipeline(id)?;
        let again: Vec<Arc<Job>> = self
            .current_jobs(&pipeline)
            .into_iter()
            .filter(|job| {
                job.is_retryable() && matches!(job.status, Status::Failed | Status::Canceled)
            })
            .collect();
        for job in &again {
            self.clone_job(job)?;
        }
        if !again.is_empty() {
            self.reopen_skipped(id)?;
        }
        self.process(id)
    }

    fn clone_job(&mut self, job: &Job) -> Result<JobId> {
        let id = JobId(self.state.next_job_id());
        self.set_job(job.id, |old| old.retried = true)?;
        let token = self.gitlab.secret(super::create::JOB_TOKEN);
        self.add_job(Job {
            id,
            token,
            status: Status::Created,
            failure_reason: None,
            exit_code: None,
            retried: false,
            retries: job.retries + 1,
            assigned: None,
            created_at: self.now,
            queued_at: None,
            started_at: None,
            finished_at: None,
            ..job.clone()
        });
        Ok(id)
    }

    /// Reopens jobs that were skipped because of the retried ones.
    fn reopen_skipped(&mut self, id: PipelineId) -> Result<()> {
        let pipeline = self.pipeline(id)?;
        for job in self.current_jobs(&pipeline) {
            if job.status == Status::Skipped {
                self.set_job(job.id, |job| {
                    job.status = Status::Created;
                    job.finished_at = None;
                })?;
            }
        }
        Ok(())
    }

    /// Starts a manual job.
    pub(crate) fn play_job(&mut self, id: JobId) -> Result<Arc<Job>> {
        let job = self.job(id)?;
        ensure!(job.status == Status::Manual, "Unplayable Job");
        let job = self.move_to(id, Status::Pending)?;
        self.refresh(job.pipeline)?;
        Ok(job)
    }
}
