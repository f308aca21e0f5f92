//! Creation of pipelines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gix::ObjectId;
use serde_json::{Map, Value};

use super::config::{self, Config, Known, Parsed};
use super::variables::{self, Origin};
use crate::auth::Caller;
use crate::repository::CommitInfo;
use crate::state::jobs::{Job, JobId, Work};
use crate::state::pipelines::{ForMergeRequest, Pipeline, PipelineId, Source, Variable};
use crate::state::projects::{Project, ProjectId};
use crate::state::roles::Role;
use crate::state::status::Status;
use crate::state::tokens::User;
use crate::{FakeGitlab, lock};

/// The prefix of job tokens.
pub(crate) const JOB_TOKEN: &str = "glcbt-";

/// The parameters of a new pipeline.
#[derive(Clone, Debug)]
pub(crate) struct NewPipeline {
    pub(crate) git_ref: String,
    pub(crate) variables: Vec<Variable>,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) source: Source,
    pub(crate) merge_request: Option<ForMergeRequest>,
}

/// A cache of parsed configurations: by project, commit and path.
pub(crate) type Configurations = HashMap<(ProjectId, ObjectId, String), Arc<Parsed>>;

/// Why a pipeline was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The caller lacks the permission.
    #[error("Insufficient permissions to create a new pipeline")]
    Forbidden,
    /// GitLab's message.
    #[error("{0}")]
    Refused(String),
    /// The stand-in itself failed.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

fn refused(text: impl Into<String>) -> CreateError {
    CreateError::Refused(text.into())
}

/// The user that an action is performed for.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) user: Arc<User>,
    /// Administrators may do everything.
    pub(crate) is_admin: bool,
}

impl Actor {
    pub(crate) fn role_in(&self, project: &Project) -> Role {
        match self.is_admin {
            true => Role::Owner,
            false => project.role,
        }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            user: Arc::clone(&caller.user),
            is_admin: caller.token.admin,
        }
    }
}

/// The branch or tag of a name.
struct Target {
    commit: CommitInfo,
    is_tag: bool,
    is_protected: bool,
}

/// A configuration, with its path if it is in the project itself.
struct ConfigFile {
    parsed: Arc<Parsed>,
    own: Option<String>,
}

impl FakeGitlab {
    /// Creates a pipeline. A rejected one leaves nothing behind.
    pub(crate) fn create_pipeline_as(
        &self,
        actor: &Actor,
        project: &Project,
        new: NewPipeline,
    ) -> Result<Arc<Pipeline>, CreateError> {
        let role = actor.role_in(project);
        if role < Role::Developer || project.archived {
            return Err(CreateError::Forbidden);
        }
        check_variables(project, role, &new.variables)?;
        let is_protected = new.merge_request.is_none() && project.is_protected(&new.git_ref);
        if is_protected && role < Role::Maintainer {
            return Err(refused(format!(
                "You do not have sufficient permission to run a pipeline on '{}'. Please select a \
                 different branch or contact your administrator for assistance.",
                new.git_ref
            )));
        }
        let target = target(project, &new.git_ref, is_protected)?;
        if self.ci_settings().too_many_pipelines {
            return Err(refused(
                "Too many pipelines created in the last minute. Try again later.",
            ));
        }
        let source = self.config_source(project, target.commit.id)?;
        let known = self.initial_variables(actor, project, &new, &target);
        let config = config::read(&source.parsed, &new.inputs, &known)
            .map_err(|error| refused(error.to_string()))?;
        self.insert_pipeline(actor, project, new, target, source.own, &config)
    }

    fn initial_variables(
        &self,
        actor: &Actor,
        project: &Project,
        new: &NewPipeline,
        target: &Target,
    ) -> Known {
        let origin = Origin {
            project,
            commit: &target.commit,
            git_ref: &new.git_ref,
            is_tag: target.is_tag,
            is_protected: target.is_protected,
            source: new.source,
            user: &actor.user,
            iid: None,
        };
        let mut known: Known = variables::of_origin(self, &origin).into_iter().collect();
        for variable in &new.variables {
            known.insert(variable.key.clone(), variable.value.clone());
        }
        known
    }

    /// Returns the source of a project's configuration: its own repository or another one.
    fn config_source(
        &self,
        project: &Project,
        commit: ObjectId,
    ) -> Result<ConfigFile, CreateError> {
        let setting = project.ci_config_path_or_default();
        if setting.starts_with("http://") || setting.starts_with("https://") {
            return Err(refused(format!(
                "this stand-in does not support ci_config_path: {setting}"
            )));
        }
        let Some((path, elsewhere)) = setting.split_once('@') else {
            let parsed = self.parsed(project, commit, setting)?;
            return Ok(ConfigFile {
                parsed: parsed.ok_or_else(|| refused("Missing CI config file"))?,
                own: Some(setting.to_owned()),
            });
        };
        let (other, name) = match elsewhere.split_once(':') {
            Some((other, name)) => (other, Some(name)),
            None => (elsewhere, None),
        };
        let template = self.state().project_at(other);
        let template = template.ok_or_else(|| {
            refused(format!(
                "Project `{other}` not found or access denied! Make sure any includes in the \
                 pipeline configuration are correctly defined."
            ))
        })?;
        let commit = template.storage.resolve(&template.default_branch, name)?;
        let commit = commit.ok_or_else(|| {
            let name = name.unwrap_or("HEAD");
            refused(format!(
                "Project `{other}` reference `{name}` does not exist!"
            ))
        })?;
        let parsed = self.parsed(&template, commit, path)?;
        Ok(ConfigFile {
            parsed: parsed.ok_or_else(|| {
                refused(format!("Project `{other}` file `{path}` does not exist!"))
            })?,
            own: None,
        })
    }

    /// Parses a file of a commit, once: many projects use the same template.
    fn parsed(
        &self,
        project: &Project,
        commit: ObjectId,
        path: &str,
    ) -> Result<Option<Arc<Parsed>>, CreateError> {
        let key = (project.id, commit, path.to_owned());
        if let Some(parsed) = lock(&self.shared.configurations).get(&key) {
            return Ok(Some(Arc::clone(parsed)));
        }
        let Some(file) = project.storage.file(commit, path)? else {
            return Ok(None);
        };
        let parsed = config::parse(&String::from_utf8_lossy(&file.data));
        let parsed = Arc::new(parsed.map_err(|error| refused(error.to_string()))?);
        lock(&self.shared.configurations).insert(key, Arc::clone(&parsed));
        Ok(Some(parsed))
    }

    fn insert_pipeline(
        &self,
        actor: &Actor,
        project: &Project,
        new: NewPipeline,
        target: Target,
        own_config: Option<String>,
        config: &Config,
    ) -> Result<Arc<Pipeline>, CreateError> {
        let mut change = self.change();
        let now = change.now;
        let mut iid = 0;
        change.state.change_project(project.id, |project| {
            project.last_pipeline += 1;
            iid = project.last_pipeline;
        })?;
        let id = PipelineId(change.state.next_pipeline_id());
        let pipeline = Arc::new(Pipeline {
            id,
            iid,
            project: project.id,
            commit: target.commit,
            git_ref: new.git_ref,
            is_tag: target.is_tag,
            is_protected: target.is_protected,
            source: new.source,
            merge_request: new.merge_request,
            name: config.name.clone(),
            status: Status::Created,
            user: actor.user.id,
            variables: new.variables,
            inputs: new.inputs,
            own_config,
            stages: config.stages.clone(),
            jobs: Vec::new(),
            created_at: now,
            updated_at: now,
            started_at: None,
            finished_at: None,
        });
        change.state.pipelines.insert(id.0, Arc::clone(&pipeline));
        change.state.project_pipelines.insert((project.id.0, id.0));
        change.notify_pipeline(&pipeline);
        for stage in &config.stages {
            for job in config.jobs.iter().filter(|job| job.stage == *stage) {
                let id = JobId(change.state.next_job_id());
                change.add_job(Job {
                    id,
                    pipeline: pipeline.id,
                    project: project.id,
                    name: job.name.clone(),
                    stage: job.stage.clone(),
                    work: Work::Build(Arc::new(job.clone())),
                    status: Status::Created,
                    failure_reason: None,
                    exit_code: None,
                    allow_failure: job.allow_failure,
                    user: actor.user.id,
                    token: self.secret(JOB_TOKEN),
                    retried: false,
                    retries: 0,
                    assigned: None,
                    created_at: now,
                    queued_at: None,
                    started_at: None,
                    finished_at: None,
                });
            }
        }
        Ok(change.process(id)?)
    }
}

fn check_variables(
    project: &Project,
    role: Role,
    variables: &[Variable],
) -> Result<(), CreateError> {
    let mut seen = HashSet::new();
    for Variable { key, .. } in variables {
        if !seen.insert(key) {
            return Err(refused(format!("Duplicate variable name: {key}")));
        }
    }
    if !variables.is_empty() && !project.variables_role.allows(role) {
        return Err(refused(
            "Insufficient permissions to set pipeline variables",
        ));
    }
    Ok(())
}

fn target(project: &Project, name: &str, is_protected: bool) -> Result<Target, CreateError> {
    let find = |full: String| {
        let found = project
            .storage
            .resolve(&project.default_branch, Some(&full));
        found.map_err(CreateError::from)
    };
    let branch = find(format!("refs/heads/{name}"))?;
    let tag = find(format!("refs/tags/{name}"))?;
    let (commit, is_tag) = match (branch, tag) {
        (Some(_), Some(_)) => return Err(refused("Ref is ambiguous")),
        (Some(commit), None) => (commit, false),
        (None, Some(commit)) => (commit, true),
        (None, None) => return Err(refused("Reference not found")),
    };
    Ok(Target {
        commit: project.storage.commit(commit)?,
        is_tag,
        is_protected,
    })
}
