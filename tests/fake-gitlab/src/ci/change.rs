//! One change of pipelines and jobs, with all its consequences; hooks are notified of each step.

use std::sync::{Arc, MutexGuard};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use crate::FakeGitlab;
use crate::state::State;
use crate::state::jobs::{Job, JobId};
use crate::state::pipelines::{Pipeline, PipelineId};
use crate::state::status::{Status, composite};
use crate::webhooks::ci as events;

/// Holds the lock on the state during a change.
pub(crate) struct Change<'a> {
    pub(crate) gitlab: &'a FakeGitlab,
    pub(crate) state: MutexGuard<'a, State>,
    pub(crate) now: Timestamp,
    /// Whether a runner may find a new job.
    wakes_runners: bool,
    changed: bool,
}

impl FakeGitlab {
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            gitlab: self,
            now: self.clock().now(),
            state: self.state(),
            wakes_runners: false,
            changed: false,
        }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let wakers = &self.gitlab.shared.wakers;
        if self.wakes_runners {
            wakers.queue.send_modify(|count| *count += 1);
        }
        if self.changed {
            wakers.changes.send_modify(|count| *count += 1);
        }
    }
}

impl Change<'_> {
    pub(crate) fn pipeline(&self, id: PipelineId) -> Result<Arc<Pipeline>> {
        let pipeline = self.state.pipelines.get(&id.0);
        pipeline
            .cloned()
            .with_context(|| format!("pipeline {id} does not exist"))
    }

    pub(crate) fn job(&self, id: JobId) -> Result<Arc<Job>> {
        let job = self.state.jobs.get(&id.0);
        job.cloned()
            .with_context(|| format!("job {id} does not exist"))
    }

    /// Returns the jobs of a pipeline that were not replaced by a retry.
    pub(crate) fn current_jobs(&self, pipeline: &Pipeline) -> Vec<Arc<Job>> {
        let jobs = self.state.jobs_of(pipeline);
        jobs.filter(|job| !job.retried).cloned().collect()
    }

    /// Makes runners poll again.
    pub(crate) fn wake_runners(&mut self) {
        self.wakes_runners = true;
    }

    pub(crate) fn note(&mut self) {
        self.changed = true;
    }

    /// Changes a job, updates the queue, and notifies hooks of a new status.
    pub(crate) fn set_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) -> Result<Arc<Job>> {
        let row = self.state.jobs.get_mut(&id.0);
        let row = row.with_context(|| format!("job {id} does not exist"))?;
        let before = row.status;
        change(Arc::make_mut(row));
        let job = Arc::clone(row);
        self.keep_account(&job);
        self.changed = true;
        if job.status != before {
            self.notify_job(&job);
        }
        Ok(job)
    }

    /// Adds a new job.
    pub(crate) fn add_job(&mut self, job: Job) {
        let (id, pipeline) = (job.id, job.pipeline);
        let job = Arc::new(job);
        self.state.jobs.insert(id.0, Arc::clone(&job));
        if let Some(pipeline) = self.state.pipelines.get_mut(&pipeline.0) {
            Arc::make_mut(pipeline).jobs.push(id.0);
        }
        self.keep_account(&job);
        self.changed = true;
        self.notify_job(&job);
    }

    fn keep_account(&mut self, job: &Job) {
        let id = job.id.0;
        let waits = job.status == Status::Pending && job.assigned.is_none();
        if waits && job.config().is_some() {
            self.wakes_runners |= self.state.waiting.insert(id);
        } else {
            self.state.waiting.remove(&id);
        }
        let is_taken = job.assigned.is_some() && !job.status.is_complete();
        if is_taken {
            self.state.taken.insert(id);
        } else {
            self.state.taken.remove(&id);
        }
    }

    /// Changes a pipeline and notifies hooks of a new status.
    pub(crate) fn set_pipeline(
        &mut self,
        id: PipelineId,
        change: impl FnOnce(&mut Pipeline),
    ) -> Result<Arc<Pipeline>> {
        let now = self.now;
        let row = self.state.pipelines.get_mut(&id.0);
        let row = row.with_context(|| format!("pipeline {id} does not exist"))?;
        let before = row.status;
        let pipeline = Arc::make_mut(row);
        change(pipeline);
        if pipeline.status != before {
            pipeline.updated_at = now;
            if pipeline.status == Status::Running && pipeline.started_at.is_none() {
                pipeline.started_at = Some(now);
            }
            pipeline.finished_at = pipeline.status.is_complete().then_some(now);
        }
        let pipeline = Arc::clone(row);
        self.changed = true;
        if pipeline.status != before {
            self.notify_pipeline(&pipeline);
        }
        Ok(pipeline)
    }

    /// Updates the status of a pipeline from its jobs.
    pub(crate) fn refresh(&mut self, id: PipelineId) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipeline(id)?;
        let jobs = self.current_jobs(&pipeline);
        let parts: Vec<_> = jobs.iter().map(|job| job.part()).collect();
        let status = composite(&parts).unwrap_or(pipeline.status);
        // Between two of its jobs, the composite status is pending; the pipeline stays running.
        let started = jobs.iter().any(|job| job.started_at.is_some());
        let status = match status {
            Status::Pending if started => Status::Running,
            status => status,
        };
        self.set_pipeline(id, |pipeline| pipeline.status = status)
    }

    fn notify_job(&self, job: &Job) {
        events::notify_job(self.gitlab, &self.state, job);
    }

    pub(crate) fn notify_pipeline(&self, pipeline: &Pipeline) {
        events::notify_pipeline(self.gitlab, &self.state, pipeline);
    }
}
