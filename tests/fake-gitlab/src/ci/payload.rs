//! The description of a job that its runner receives.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::config::JobConfig;
use super::variables::{self, Origin};
use crate::FakeGitlab;
use crate::oidc::claims;
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;
use crate::state::runners::RunnerId;

/// Returns the timeout of a job, in seconds.
pub(crate) fn timeout_of(state: &State, job: &Job, runner: Option<RunnerId>) -> i64 {
    let project = state.projects.get(&job.project.0);
    let of_project = project.map_or(3_600, |project| project.build_timeout);
    let own = job.config().and_then(|config| config.timeout);
    let timeout = own.unwrap_or(of_project);
    let runner = runner.and_then(|id| state.runners.get(&id.0));
    match runner.and_then(|runner| runner.options.maximum_timeout) {
        Some(maximum) => timeout.min(maximum),
        None => timeout,
    }
}

struct Variables(Vec<Value>);

impl Variables {
    fn add(&mut self, key: &str, value: &str, public: bool, masked: bool) {
        self.push(key, value, public, masked, false);
    }

    fn push(&mut self, key: &str, value: &str, public: bool, masked: bool, is_file: bool) {
        self.0.push(json!({
            "key": key,
            "value": value,
            "public": public,
            "masked": masked,
            "raw": false,
            "file": is_file,
        }));
    }
}

/// Returns the response to a runner that gets a job.
pub(crate) fn payload(gitlab: &FakeGitlab, state: &State, job: &Job) -> Result<Value> {
    let pipeline = state.pipelines.get(&job.pipeline.0);
    let pipeline = pipeline.context("the pipeline was deleted")?;
    let project = state.project(job.project)?;
    let config = job
        .config()
        .context("a commit status has no configuration")?;
    let runner = job.assigned.as_ref().map(|assigned| assigned.runner);
    let timeout = timeout_of(state, job, runner);
    let repository = gitlab.git_url(&project.full_path);
    let refspec = match pipeline.is_tag {
        true => format!("+refs/tags/{0}:refs/tags/{0}", pipeline.git_ref),
        false => format!("+refs/heads/{0}:refs/remotes/origin/{0}", pipeline.git_ref),
    };
    Ok(json!({
        "id": job.id.0,
        "token": job.token,
        "allow_git_fetch": true,
        "job_info": {
            "id": job.id.0,
            "name": job.name,
            "stage": job.stage,
            "project_id": project.id.0,
            "project_name": project.path(),
            "project_full_path": project.full_path,
            "namespace_id": namespace_id(state, &project),
            "root_namespace_id": namespace_id(state, &project),
            "pipeline_id": pipeline.id.0,
            "user_id": job.user,
            "time_in_queue_seconds": 0.0,
            "project_jobs_running_on_instance_runners_count": "0",
        },
        "git_info": {
            "repo_url": repository,
            "ref": pipeline.git_ref,
            "sha": pipeline.sha().to_string(),
            "before_sha": "0".repeat(40),
            "ref_type": pipeline.ref_type(),
            "refspecs": [refspec],
            "depth": 20,
            "repo_object_format": "sha1",
            "protected": pipeline.is_protected,
        },
        "runner_info": { "timeout": timeout, "runner_session_url": null },
        "inputs": [],
        "variables": variables_of(gitlab, state, &project, pipeline, job, config)?.0,
        "steps": steps(config, timeout),
        "image": null,
        "services": [],
        "artifacts": artifacts(config),
        "cache": [],
        "credentials": [],
        "dependencies": dependencies(state, pipeline, job),
        "features": {
            "trace_sections": true,
            "token_mask_prefixes": ["glpat-"],
            "failure_reasons": [
                "unknown_failure",
                "script_failure",
                "runner_system_failure",
                "job_execution_timeout",
                "image_pull_failure",
                "runner_interrupted",
            ],
        },
    }))
}

fn namespace_id(state: &State, project: &Project) -> u64 {
    let group = state.group_at(project.namespace());
    group.map_or(0, |group| group.id)
}

fn variables_of(
    gitlab: &FakeGitlab,
    state: &State,
    project: &Project,
    pipeline: &Pipeline,
    job: &Job,
    config: &JobConfig,
) -> Result<Variables> {
    let user = state.users.get(&job.user).context("the user was deleted")?;
    let mut all = Variables(Vec::new());
    for (key, value) in variables::of_job(gitlab, project, pipeline, job) {
        all.add(&key, &value, true, false);
    }
    let origin = Origin {
        project,
        commit: &pipeline.commit,
        git_ref: &pipeline.git_ref,
        is_tag: pipeline.is_tag,
        is_protected: pipeline.is_protected,
        source: pipeline.source,
        user,
        iid: Some(pipeline.iid),
    };
    for (key, value) in variables::of_origin(gitlab, &origin) {
        all.add(&key, &value, true, false);
    }
    let with_credentials = gitlab
        .git_url(&project.full_path)
        .replace("://", &format!("://gitlab-ci-token:{}@", job.token));
    all.add("CI_REPOSITORY_URL", &with_credentials, false, false);
    all.add("CI_JOB_TOKEN", &job.token, false, true);
    all.add("CI_REGISTRY_PASSWORD", &job.token, false, true);
    for token in &config.id_tokens {
        let claims = claims::of_job(gitlab, state, job, &token.audience)?;
        let signed = gitlab.shared.keys.sign_for_ci(&claims)?;
        all.add(&token.name, &signed, false, true);
    }
    for (key, value) in &config.variables {
        all.add(key, value, true, false);
    }
    for variable in &pipeline.variables {
        all.push(
            &variable.key,
            &variable.value,
            false,
            false,
            variable.is_file,
        );
    }
    Ok(all)
}

fn steps(config: &JobConfig, timeout: i64) -> Vec<Value> {
    let mut steps = vec![json!({
        "name": "script",
        "script": config.script,
        "timeout": timeout,
        "when": "on_success",
        "allow_failure": false,
    })];
    if !config.after_script.is_empty() {
        steps.push(json!({
            "name": "after_script",
            "script": config.after_script,
            "timeout": timeout,
            "when": "always",
            "allow_failure": true,
        }));
    }
    steps
}

fn artifacts(config: &JobConfig) -> Vec<Value> {
    let artifacts = config.artifacts.iter().map(|artifacts| {
        json!({
            "name": artifacts.name.clone().unwrap_or_default(),
            "untracked": artifacts.untracked,
            "paths": artifacts.paths,
            "exclude": artifacts.exclude,
            "when": artifacts.when,
            "artifact_type": "archive",
            "artifact_format": "zip",
            "expire_in": artifacts.expire_in.clone().unwrap_or_else(|| "30 days".to_owned()),
        })
    });
    artifacts.collect()
}

/// Returns the jobs of earlier stages whose artifacts a job downloads.
fn dependencies(state: &State, pipeline: &Pipeline, job: &Job) -> Vec<Value> {
    let stage_of = |name: &str| pipeline.stages.iter().position(|stage| stage == name);
    let own = stage_of(&job.stage);
    let earlier = state
        .jobs_of(pipeline)
        .filter(|other| !other.retried && stage_of(&other.stage) < own);
    let entries = earlier.map(|other| {
        let mut entry = json!({ "id": other.id.0, "name": other.name, "token": other.token });
        if let Some(artifacts) = state.artifacts.get(&other.id.0) {
            entry["artifacts_file"] =
                json!({ "filename": artifacts.file_name, "size": artifacts.data.len() });
        }
        entry
    });
    entries.collect()
}
