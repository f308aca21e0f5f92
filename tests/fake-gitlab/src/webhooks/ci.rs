//! Payloads of pipeline and job webhooks.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::payloads::{commit_entry, project_entry};
use crate::FakeGitlab;
use crate::actions::hooks::hooks_of;
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::pipelines::Pipeline;
use crate::state::projects::Project;

/// Formats a time as only these two kinds of hooks do.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn time_or_null(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::from(time(at)))
}

/// Notifies hooks of a pipeline's new status.
pub(crate) fn notify_pipeline(gitlab: &FakeGitlab, state: &State, pipeline: &Pipeline) {
    let Some(project) = state.projects.get(&pipeline.project.0) else {
        return;
    };
    let hooks = hooks_of(state, project, |options| options.pipeline_events);
    if !hooks.is_empty() {
        let payload = of_pipeline(gitlab, state, project, pipeline);
        gitlab.webhooks().queue(&hooks, "Pipeline Hook", &payload);
    }
}

/// Notifies hooks of a job's new status.
pub(crate) fn notify_job(gitlab: &FakeGitlab, state: &State, job: &Job) {
    let Some(project) = state.projects.get(&job.project.0) else {
        return;
    };
    let hooks = hooks_of(state, project, |options| options.job_events);
    if !hooks.is_empty()
        && let Some(pipeline) = state.pipelines.get(&job.pipeline.0)
    {
        let payload = of_job(gitlab, state, project, pipeline, job);
        gitlab.webhooks().queue(&hooks, "Job Hook", &payload);
    }
}

fn user_entry(state: &State, user: u64) -> Value {
    state.users.get(&user).map_or(Value::Null, |user| {
        json!({
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "avatar_url": null,
            "email": "[REDACTED]",
        })
    })
}

fn runner_entry(state: &State, job: &Job) -> Value {
    let runner = job.assigned.as_ref().map(|assigned| assigned.runner);
    let runner = runner.and_then(|runner| state.runners.get(&runner.0));
    runner.map_or(Value::Null, |runner| {
        let is_shared = runner.options.projects.is_none();
        json!({
            "id": runner.id.0,
            "description": runner.options.description,
            "active": !runner.paused,
            "runner_type": if is_shared { "instance_type" } else { "project_type" },
            "is_shared": is_shared,
            "tags": runner.options.tags,
        })
    })
}

/// Returns the variables that the pipeline was created with; the hook contains no others.
fn variables(pipeline: &Pipeline) -> Vec<Value> {
    let variables = pipeline.variables.iter();
    variables
        .map(|variable| json!({ "key": variable.key, "value": variable.value }))
        .collect()
}

fn of_pipeline(gitlab: &FakeGitlab, state: &State, project: &Project, row: &Pipeline) -> Value {
    let url = gitlab.url();
    let jobs: Vec<_> = state.jobs_of(row).filter(|job| !job.retried).collect();
    let mut stages: Vec<&str> = Vec::new();
    for job in &jobs {
        if !stages.contains(&job.stage.as_str()) {
            stages.push(&job.stage);
        }
    }
    let builds: Vec<Value> = jobs.iter().map(|job| build(state, job)).collect();
    json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "id": row.id.0,
            "iid": row.iid,
            "name": row.name,
            "ref": row.git_ref,
            "tag": row.is_tag,
            "sha": row.sha().to_string(),
            "before_sha": "0".repeat(40),
            "source": row.source.name(),
            "status": row.status.name(),
            "detailed_status": row.status.name(),
            "stages": stages,
            "created_at": time(row.created_at),
            "finished_at": time_or_null(row.finished_at),
            "duration": row.duration(),
            "queued_duration": row.queued_duration(),
            "variables": variables(row),
            "url": format!("{url}/{}/-/pipelines/{}", project.full_path, row.id),
        },
        "merge_request": merge_request(gitlab, state, project, row),
        "user": user_entry(state, row.user),
        "project": project_entry(url, project),
        "commit": commit_entry(url, project, &row.commit),
        "builds": builds,
    })
}

fn merge_request(gitlab: &FakeGitlab, state: &State, project: &Project, row: &Pipeline) -> Value {
    let found = row
        .merge_request
        .and_then(|of| state.merge_requests.get(&(project.id.0, of.iid)));
    found.map_or(Value::Null, |found| {
        json!({
            "id": found.id,
            "iid": found.iid,
            "title": found.title,
            "source_branch": found.source_branch,
            "source_project_id": found.source_project,
            "target_branch": found.target_branch,
            "target_project_id": found.project,
            "state": found.state.name(),
            "merge_status": "can_be_merged",
            "detailed_merge_status": "mergeable",
            "url": format!(
                "{}/{}/-/merge_requests/{}", gitlab.url(), project.full_path, found.iid
            ),
        })
    })
}

fn build(state: &State, job: &Job) -> Value {
    let artifacts = state.artifacts.get(&job.id.0);
    json!({
        "id": job.id.0,
        "stage": job.stage,
        "name": job.name,
        "status": job.status.name(),
        "created_at": time(job.created_at),
        "started_at": time_or_null(job.started_at),
        "finished_at": time_or_null(job.finished_at),
        "duration": job.duration(),
        "queued_duration": job.queued_duration(),
        "failure_reason": job.failure_reason,
        "when": "on_success",
        "manual": false,
        "allow_failure": job.allow_failure,
        "user": user_entry(state, job.user),
        "runner": runner_entry(state, job),
        "artifacts_file": {
            "filename": artifacts.map(|artifacts| artifacts.file_name.clone()),
            "size": artifacts.map(|artifacts| artifacts.data.len()),
        },
        "environment": null,
    })
}

fn of_job(
    gitlab: &FakeGitlab,
    state: &State,
    project: &Project,
    pipeline: &Pipeline,
    job: &Job,
) -> Value {
    let url = gitlab.url();
    json!({
        "object_kind": "build",
        "ref": pipeline.git_ref,
        "tag": pipeline.is_tag,
        "before_sha": "0".repeat(40),
        "sha": pipeline.sha().to_string(),
        "retries_count": job.retries,
        "build_id": job.id.0,
        "build_name": job.name,
        "build_stage": job.stage,
        "build_status": job.status.name(),
        "build_created_at": time(job.created_at),
        "build_created_at_iso": job.created_at.to_string(),
        "build_started_at": time_or_null(job.started_at),
        "build_started_at_iso": job.started_at.map(|at| at.to_string()),
        "build_finished_at": time_or_null(job.finished_at),
        "build_finished_at_iso": job.finished_at.map(|at| at.to_string()),
        "build_duration": job.duration(),
        "build_queued_duration": job.queued_duration(),
        "build_allow_failure": job.allow_failure,
        "build_failure_reason": job.failure_reason.as_deref().unwrap_or("unknown_failure"),
        "pipeline_id": pipeline.id.0,
        "project_id": project.id.0,
        "project_name": project.full_path.replace('/', " / "),
        "user": user_entry(state, job.user),
        "commit": {
            // GitLab's oddity: this is the pipeline's id.
            "id": pipeline.id.0,
            "name": pipeline.name,
            "sha": pipeline.sha().to_string(),
            "message": pipeline.commit.message,
            "author_name": pipeline.commit.author_name,
            "author_email": "[REDACTED]",
            "status": pipeline.status.name(),
            "duration": pipeline.duration(),
            "started_at": time_or_null(pipeline.started_at),
            "finished_at": time_or_null(pipeline.finished_at),
        },
        "repository": {
            "name": project.path(),
            "description": project.description,
            "homepage": format!("{url}/{}", project.full_path),
            "git_http_url": gitlab.git_url(&project.full_path),
            "visibility_level": u8::from(project.public) * 20,
        },
        "project": project_entry(url, project),
        "runner": runner_entry(state, job),
        "environment": null,
        "source_pipeline": null,
    })
}
