//! Pipelines and jobs as a test sees and changes them.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::ci::create::{Actor, NewPipeline};
use crate::state::jobs::{Artifacts, Job, JobId};
use crate::state::pipelines::{ForMergeRequest, Pipeline, PipelineId, Source, Variable};
use crate::state::runners::RunnerId;
use crate::state::status::Status;
use crate::{FakeGitlab, ProjectId};

/// A snapshot of a pipeline.
#[derive(Clone, Debug)]
pub struct PipelineView {
    /// Its id.
    pub id: PipelineId,
    /// Its number within the project.
    pub iid: u64,
    /// The project.
    pub project: ProjectId,
    /// The commit.
    pub sha: String,
    /// The branch or tag.
    pub git_ref: String,
    /// What created it.
    pub source: Source,
    /// Its name in the configuration.
    pub name: Option<String>,
    /// Its status.
    pub status: Status,
    /// The variables it was created with.
    pub variables: Vec<(String, String)>,
    /// The inputs it was created with.
    pub inputs: Map<String, Value>,
    /// The user who created it.
    pub user: u64,
}

impl From<&Pipeline> for PipelineView {
    fn from(row: &Pipeline) -> Self {
        let variables = row.variables.iter();
        Self {
            id: row.id,
            iid: row.iid,
            project: row.project,
            sha: row.sha().to_string(),
            git_ref: row.git_ref.clone(),
            source: row.source,
            name: row.name.clone(),
            status: row.status,
            variables: variables
                .map(|variable| (variable.key.clone(), variable.value.clone()))
                .collect(),
            inputs: row.inputs.clone(),
            user: row.user,
        }
    }
}

/// A snapshot of a job.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// Its status.
    pub status: Status,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The exit code of its script.
    pub exit_code: Option<i64>,
    /// The tags that its runner must have.
    pub tags: Vec<String>,
    /// Its token.
    pub token: String,
    /// The runner that was assigned to it.
    pub runner: Option<RunnerId>,
    /// Whether a retry replaced it.
    pub retried: bool,
}

impl From<&Job> for JobView {
    fn from(row: &Job) -> Self {
        Self {
            id: row.id,
            pipeline: row.pipeline,
            project: row.project,
            name: row.name.clone(),
            stage: row.stage.clone(),
            status: row.status,
            failure_reason: row.failure_reason.clone(),
            exit_code: row.exit_code,
            tags: row.tags().to_vec(),
            token: row.token.clone(),
            runner: row.assigned.as_ref().map(|assigned| assigned.runner),
            retried: row.retried,
        }
    }
}

impl FakeGitlab {
    /// Creates a pipeline on behalf of the first user, as through the API.
    pub fn create_pipeline(
        &self,
        project: ProjectId,
        git_ref: &str,
        variables: &[(&str, &str)],
        inputs: &Value,
    ) -> Result<PipelineId> {
        let variables = variables.iter().map(|(key, value)| Variable {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            is_file: false,
        });
        self.create_as_first_user(
            project,
            NewPipeline {
                git_ref: git_ref.to_owned(),
                variables: variables.collect(),
                inputs: inputs.as_object().cloned().unwrap_or_default(),
                source: Source::Api,
                merge_request: None,
            },
        )
    }

    /// Creates the pipeline of a merge request in its target project.
    pub fn create_merge_request_pipeline(
        &self,
        project: ProjectId,
        iid: u64,
    ) -> Result<PipelineId> {
        let row = self.state().merge_requests.get(&(project.0, iid)).cloned();
        let row = row.context("the merge request does not exist")?;
        self.create_as_first_user(
            project,
            NewPipeline {
                git_ref: row.target_branch.clone(),
                variables: Vec::new(),
                inputs: Map::new(),
                source: Source::MergeRequestEvent,
                merge_request: Some(ForMergeRequest {
                    iid,
                    source_project: ProjectId(row.source_project),
                }),
            },
        )
    }

    fn create_as_first_user(&self, project: ProjectId, new: NewPipeline) -> Result<PipelineId> {
        let actor = Actor {
            user: self.first_user()?,
            is_admin: true,
        };
        let project = self.project(project)?;
        let pipeline = self.create_pipeline_as(&actor, &project, new)?;
        Ok(pipeline.id)
    }

    /// Returns the pipelines of a project, oldest first.
    pub fn pipelines(&self, project: ProjectId) -> Vec<PipelineView> {
        let state = self.state();
        let pipelines = state.pipelines_of(project.0);
        pipelines.map(|row| row.as_ref().into()).collect()
    }

    /// Returns a pipeline, if it exists.
    pub fn pipeline(&self, id: PipelineId) -> Option<PipelineView> {
        let state = self.state();
        state.pipelines.get(&id.0).map(|row| row.as_ref().into())
    }

    /// Returns the jobs of a pipeline, oldest first, retried ones included.
    pub fn jobs(&self, pipeline: PipelineId) -> Vec<JobView> {
        let state = self.state();
        let Some(pipeline) = state.pipelines.get(&pipeline.0) else {
            return Vec::new();
        };
        let jobs = state.jobs_of(pipeline);
        jobs.map(|row| row.as_ref().into()).collect()
    }

    /// Returns a job, if it exists.
    pub fn job(&self, id: JobId) -> Option<JobView> {
        let state = self.state();
        state.jobs.get(&id.0).map(|row| row.as_ref().into())
    }

    /// Returns the log of a job.
    pub fn job_trace(&self, id: JobId) -> String {
        let state = self.state();
        let trace = state.traces.get(&id.0).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(trace).into_owned()
    }

    /// Returns the artifacts of a job.
    pub fn job_artifacts(&self, id: JobId) -> Option<Arc<Artifacts>> {
        self.state().artifacts.get(&id.0).cloned()
    }

    /// Cancels a pipeline, as a user does.
    pub fn cancel_pipeline(&self, id: PipelineId) -> Result<()> {
        self.change().cancel_pipeline(id).map(drop)
    }

    /// Cancels a job, as a user does.
    pub fn cancel_job(&self, id: JobId) -> Result<()> {
        let mut change = self.change();
        let job = change.cancel_job(id)?;
        change.process(job.pipeline).map(drop)
    }

    /// Retries the failed and cancelled jobs of a pipeline, as a user does.
    pub fn retry_pipeline(&self, id: PipelineId) -> Result<()> {
        self.change().retry_pipeline(id).map(drop)
    }

    /// Retries a job, as a user does, and returns the new one.
    pub fn retry_job(&self, id: JobId) -> Result<JobId> {
        Ok(self.change().retry_job(id)?.id)
    }

    /// Deletes a pipeline with its jobs.
    pub fn delete_pipeline(&self, id: PipelineId) -> Result<()> {
        self.change().delete_pipeline(id)
    }

    /// Starts the oldest pending job without a runner. `None` if no job is pending.
    pub fn take_job(&self) -> Result<Option<JobId>> {
        let mut change = self.change();
        let Some(id) = change.state.waiting.first().copied() else {
            return Ok(None);
        };
        change.move_to(JobId(id), Status::Running)?;
        let job = change.job(JobId(id))?;
        change.refresh(job.pipeline)?;
        Ok(Some(job.id))
    }

    /// Starts a pending job without a runner.
    pub fn begin_job(&self, id: JobId) -> Result<()> {
        let mut change = self.change();
        let pipeline = change.job(id)?.pipeline;
        change.move_to(id, Status::Running)?;
        change.refresh(pipeline).map(drop)
    }

    /// Finishes a job, without a runner or on behalf of its runner.
    pub fn finish_job(
        &self,
        id: JobId,
        status: Status,
        failure_reason: Option<&str>,
    ) -> Result<()> {
        let mut change = self.change();
        change.finish(id, status, failure_reason, None).map(drop)
    }

    /// Appends to the log of a job.
    pub fn print(&self, id: JobId, text: &str) -> Result<()> {
        let mut change = self.change();
        change.job(id)?;
        let trace = change.state.traces.entry(id.0).or_default();
        trace.extend_from_slice(text.as_bytes());
        change.note();
        Ok(())
    }

    /// Corrupts the log of a job, as a broken disk might.
    pub fn corrupt_trace(&self, id: JobId) -> Result<()> {
        let mut state = self.state();
        let trace = state.traces.get_mut(&id.0);
        let first = trace.and_then(|trace| trace.first_mut());
        *first.context("the log is empty")? ^= 1;
        Ok(())
    }

    /// Waits until a job satisfies a condition.
    pub async fn job_until(
        &self,
        id: JobId,
        is_wanted: impl Fn(&JobView) -> bool,
    ) -> Result<JobView> {
        let mut changes = self.shared.wakers.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let job = self
                .job(id)
                .with_context(|| format!("job {id} does not exist"))?;
            if is_wanted(&job) {
                return Ok(job);
            }
            changes.changed().await?;
        }
    }

    /// Waits until a pipeline satisfies a condition.
    pub async fn pipeline_until(
        &self,
        id: PipelineId,
        is_wanted: impl Fn(&PipelineView) -> bool,
    ) -> Result<PipelineView> {
        let mut changes = self.shared.wakers.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let pipeline = self.pipeline(id);
            let pipeline = pipeline.with_context(|| format!("pipeline {id} does not exist"))?;
            if is_wanted(&pipeline) {
                return Ok(pipeline);
            }
            changes.changed().await?;
        }
    }

    /// Waits until the log of a job contains a text.
    pub async fn printed(&self, id: JobId, text: &str) -> Result<()> {
        let mut changes = self.shared.wakers.changes.subscribe();
        loop {
            changes.borrow_and_update();
            ensure!(self.job(id).is_some(), "job {id} does not exist");
            if self.job_trace(id).contains(text) {
                return Ok(());
            }
            changes.changed().await?;
        }
    }
}
