//! The state of the stand-in, without git repositories.

pub(crate) mod hooks;
pub(crate) mod jobs;
pub(crate) mod merge_requests;
pub(crate) mod notes;
pub(crate) mod pipelines;
pub(crate) mod projects;
pub(crate) mod roles;
pub(crate) mod runners;
pub(crate) mod status;
pub(crate) mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hooks::Hook;
use jobs::{Artifacts, Job};
use merge_requests::MergeRequest;
use notes::Note;
use pipelines::Pipeline;
use projects::{Group, Project};
use roles::{GroupRole, VariablesRole};
use runners::Runner;
use tokens::{Token, User};

/// All tables. Rows are shared and replaced on change, so that a request sees each row consistently.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) groups: BTreeMap<u64, Arc<Group>>,
    pub(crate) projects: BTreeMap<u64, Arc<Project>>,
    /// Lower-case full paths.
    pub(crate) group_paths: HashMap<String, u64>,
    /// Lower-case full paths.
    pub(crate) project_paths: HashMap<String, u64>,
    /// Lower-case full paths that projects had before they were renamed.
    pub(crate) old_project_paths: HashMap<String, u64>,
    pub(crate) merge_requests: BTreeMap<(u64, u64), Arc<MergeRequest>>,
    pub(crate) hooks: BTreeMap<u64, Arc<Hook>>,
    pub(crate) users: BTreeMap<u64, Arc<User>>,
    /// By secret.
    pub(crate) tokens: HashMap<String, Arc<Token>>,
    pub(crate) pipelines: BTreeMap<u64, Arc<Pipeline>>,
    /// Projects and their pipelines.
    pub(crate) project_pipelines: BTreeSet<(u64, u64)>,
    pub(crate) jobs: BTreeMap<u64, Arc<Job>>,
    /// The logs of jobs.
    pub(crate) traces: HashMap<u64, Vec<u8>>,
    pub(crate) artifacts: HashMap<u64, Arc<Artifacts>>,
    /// Pending jobs, oldest first.
    pub(crate) waiting: BTreeSet<u64>,
    /// Jobs assigned to a runner.
    pub(crate) taken: BTreeSet<u64>,
    pub(crate) runners: BTreeMap<u64, Arc<Runner>>,
    pub(crate) notes: BTreeMap<u64, Arc<Note>>,
    /// The minimum role for variables in new projects.
    pub(crate) new_projects_variables: VariablesRole,
    pub(crate) group_role: GroupRole,
    /// Whether groups have no webhooks.
    pub(crate) lacks_group_hooks: bool,
    last_id: u64,
    last_project_id: u64,
    last_pipeline_id: u64,
    last_job_id: u64,
}

/// The first id of pipelines, which differs from those of jobs so that mixed-up ids are noticed.
const FIRST_PIPELINE: u64 = 1_000;
/// See [`FIRST_PIPELINE`].
const FIRST_JOB: u64 = 50_000;

impl State {
    /// Returns the next id of anything except projects.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns the next project id. Projects have a counter of their own, so that the first one has the id 1.
    pub(crate) fn next_project_id(&mut self) -> u64 {
        self.last_project_id += 1;
        self.last_project_id
    }

    pub(crate) fn next_pipeline_id(&mut self) -> u64 {
        self.last_pipeline_id += 1;
        FIRST_PIPELINE + self.last_pipeline_id
    }

    pub(crate) fn next_job_id(&mut self) -> u64 {
        self.last_job_id += 1;
        FIRST_JOB + self.last_job_id
    }

    /// Returns the pipelines of a project, oldest first.
    pub(crate) fn pipelines_of(
        &self,
        project: u64,
    ) -> impl DoubleEndedIterator<Item = &Arc<Pipeline>> {
        self.project_pipelines
            .range((project, 0)..=(project, u64::MAX))
            .filter_map(|(_, id)| self.pipelines.get(id))
    }

    /// Returns the jobs of a pipeline, oldest first, retried ones included.
    pub(crate) fn jobs_of(
        &self,
        pipeline: &Pipeline,
    ) -> impl DoubleEndedIterator<Item = &Arc<Job>> {
        pipeline.jobs.iter().filter_map(|id| self.jobs.get(id))
    }

    pub(crate) fn group_at(&self, path: &str) -> Option<Arc<Group>> {
        let id = self.group_paths.get(&path.to_lowercase())?;
        self.groups.get(id).cloned()
    }

    /// Returns the project at a path, which may be an old one.
    pub(crate) fn project_at(&self, path: &str) -> Option<Arc<Project>> {
        let path = path.to_lowercase();
        let id = self
            .project_paths
            .get(&path)
            .or_else(|| self.old_project_paths.get(&path))?;
        self.projects.get(id).cloned()
    }

    /// Returns the projects of a group, sorted by id.
    pub(crate) fn projects_of<'a>(
        &'a self,
        group: &'a Group,
        subgroups: bool,
    ) -> impl Iterator<Item = &'a Arc<Project>> {
        self.projects.values().filter(move |project| {
            project
                .below(&group.full_path)
                .is_some_and(|rest| subgroups || !rest.contains('/'))
        })
    }

    pub(crate) fn merge_requests_of(
        &self,
        project: u64,
    ) -> impl Iterator<Item = &Arc<MergeRequest>> {
        self.merge_requests
            .range((project, 0)..=(project, u64::MAX))
            .map(|(_, merge_request)| merge_request)
    }
}
