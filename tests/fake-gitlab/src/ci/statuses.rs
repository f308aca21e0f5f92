//! Commit statuses: jobs that run elsewhere, in pipelines that are created for them if necessary.

use std::sync::Arc;

use anyhow::Result;

use super::change::Change;
use super::create::{Actor, JOB_TOKEN};
use crate::FakeGitlab;
use crate::repository::CommitInfo;
use crate::state::jobs::{External, Job, JobId, Work};
use crate::state::pipelines::{Pipeline, PipelineId, Source};
use crate::state::projects::Project;
use crate::state::roles::Role;
use crate::state::status::Status;

/// The stage of commit statuses.
const STAGE: &str = "external";
/// At most this many pipelines of a commit are searched.
const MAX_PIPELINES: usize = 100;

/// A new status of a commit.
#[derive(Clone, Debug)]
pub(crate) struct NewStatus {
    pub(crate) status: Status,
    pub(crate) git_ref: Option<String>,
    pub(crate) name: String,
    pub(crate) target_url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) coverage: Option<f64>,
    pub(crate) pipeline: Option<u64>,
}

/// Why a status is rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// The caller lacks the permission.
    #[error("Forbidden")]
    Forbidden,
    /// No branch contains the commit.
    #[error("References for commit Not Found")]
    NoReferences,
    /// The named pipeline belongs to another commit.
    #[error("Pipeline for pipeline_id, sha and ref Not Found")]
    NoPipeline,
    /// The transition is not allowed.
    #[error(
        "Cannot transition status via :{event} from :{status} (Reason(s): Status cannot transition \
         via \"{event}\")"
    )]
    SameState {
        /// GitLab's name of the transition.
        event: &'static str,
        /// The new status.
        status: Status,
    },
    /// The stand-in itself failed.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

impl FakeGitlab {
    /// Records a status of a commit.
    pub(crate) fn add_status(
        &self,
        actor: &Actor,
        project: &Project,
        commit: CommitInfo,
        new: NewStatus,
    ) -> Result<Arc<Job>, StatusError> {
        let branch = match &new.git_ref {
            Some(name) => Some(name.clone()),
            None => branch_of(project, &commit)?,
        };
        let mut change = self.change();
        let found = find_pipeline(&change, project, &commit, &new);
        if new.pipeline.is_some() && found.is_none() {
            return Err(StatusError::NoPipeline);
        }
        let (pipeline, is_new) = match found {
            Some(pipeline) => (pipeline, false),
            None => {
                let branch = branch.ok_or(StatusError::NoReferences)?;
                (
                    change.external_pipeline(actor, project, commit, branch)?,
                    true,
                )
            }
        };
        if !is_new && pipeline.is_protected && actor.role_in(project) < Role::Maintainer {
            return Err(StatusError::Forbidden);
        }
        let current = change.current_jobs(&pipeline);
        let same = current.iter().rev().find(|job| {
            job.external().is_some()
                && job.name == new.name
                && job.user == actor.user.id
                && matches!(job.status, Status::Pending | Status::Running)
        });
        let id = match same {
            Some(job) => {
                change.check_step(job, new.status)?;
                job.id
            }
            None => change.new_status(actor, &pipeline, &current, &new)?,
        };
        let job = change.apply_status(id, new)?;
        change.refresh(pipeline.id)?;
        Ok(job)
    }
}

/// Returns the first branch whose history contains a commit, the default branch first.
fn branch_of(project: &Project, commit: &CommitInfo) -> Result<Option<String>> {
    let mut branches: Vec<(String, gix::ObjectId)> = project
        .storage
        .refs()?
        .into_iter()
        .filter_map(|(name, head)| Some((name.strip_prefix("refs/heads/")?.to_owned(), head)))
        .collect();
    branches.sort_by_key(|(name, _)| (*name != project.default_branch, name.clone()));
    for (name, head) in branches {
        let log = project.storage.log(head, None, usize::MAX)?;
        if log.iter().any(|other| other.id == commit.id) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn find_pipeline(
    change: &Change<'_>,
    project: &Project,
    commit: &CommitInfo,
    new: &NewStatus,
) -> Option<Arc<Pipeline>> {
    let of_commit = change
        .state
        .pipelines_of(project.id.0)
        .rev()
        .filter(|pipeline| pipeline.sha() == commit.id)
        .take(MAX_PIPELINES);
    let mut fitting = of_commit.filter(|pipeline| {
        new.git_ref
            .as_ref()
            .is_none_or(|name| *name == pipeline.git_ref)
            && new.pipeline.is_none_or(|id| id == pipeline.id.0)
    });
    fitting.next().cloned()
}

impl Change<'_> {
    fn external_pipeline(
        &mut self,
        actor: &Actor,
        project: &Project,
        commit: CommitInfo,
        git_ref: String,
    ) -> Result<Arc<Pipeline>> {
        let now = self.now;
        let mut iid = 0;
        self.state.change_project(project.id, |project| {
            project.last_pipeline += 1;
            iid = project.last_pipeline;
        })?;
        let id = PipelineId(self.state.next_pipeline_id());
        let pipeline = Arc::new(Pipeline {
            id,
            iid,
            project: project.id,
            commit,
            is_tag: false,
            is_protected: project.is_protected(&git_ref),
            git_ref,
            source: Source::External,
            merge_request: None,
            name: None,
            status: Status::Created,
            user: actor.user.id,
            variables: Vec::new(),
            inputs: serde_json::Map::new(),
            own_config: None,
            stages: vec![STAGE.to_owned()],
            jobs: Vec::new(),
            created_at: now,
            updated_at: now,
            started_at: None,
            finished_at: None,
        });
        self.state.pipelines.insert(id.0, Arc::clone(&pipeline));
        self.state.project_pipelines.insert((project.id.0, id.0));
        self.notify_pipeline(&pipeline);
        Ok(pipeline)
    }

    /// Checks whether a status may change to this one.
    fn check_step(&self, job: &Job, to: Status) -> Result<(), StatusError> {
        let event = match (job.status, to) {
            (Status::Pending | Status::Running, Status::Pending) => "enqueue",
            (Status::Running, Status::Running) => "run",
            _ => return Ok(()),
        };
        Err(StatusError::SameState {
            event,
            status: job.status,
        })
    }

    fn new_status(
        &mut self,
        actor: &Actor,
        pipeline: &Pipeline,
        current: &[Arc<Job>],
        new: &NewStatus,
    ) -> Result<JobId> {
        // Supersedes the earlier status of this name.
        let before = current
            .iter()
            .filter(|job| job.external().is_some() && job.name == new.name);
        for job in before {
            if job.status.is_complete() {
                self.set_job(job.id, |job| job.retried = true)?;
            }
        }
        let id = JobId(self.state.next_job_id());
        self.add_job(Job {
            id,
            pipeline: pipeline.id,
            project: pipeline.project,
            name: new.name.clone(),
            stage: STAGE.to_owned(),
            work: Work::External(External::default()),
            status: Status::Created,
            failure_reason: None,
            exit_code: None,
            allow_failure: false,
            user: actor.user.id,
            token: self.gitlab.secret(JOB_TOKEN),
            retried: false,
            retries: 0,
            assigned: None,
            created_at: self.now,
            queued_at: None,
            started_at: None,
            finished_at: None,
        });
        Ok(id)
    }

    fn apply_status(&mut self, id: JobId, new: NewStatus) -> Result<Arc<Job>> {
        let now = self.now;
        self.set_job(id, |job| {
            if let Work::External(external) = &mut job.work {
                *external = External {
                    target_url: new.target_url.or(external.target_url.take()),
                    description: new.description.or(external.description.take()),
                    coverage: new.coverage.or(external.coverage),
                };
            }
            job.status = new.status;
            job.queued_at = job.queued_at.or(Some(now));
            if new.status != Status::Pending {
                // Running and later statuses imply that it has started.
                job.started_at = job.started_at.or(Some(now));
            }
            if new.status.is_complete() {
                job.finished_at = Some(now);
            }
        })
    }
}
