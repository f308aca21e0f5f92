//! Pipelines and jobs in the format of the REST API.

use serde_json::{Value, json};

use crate::FakeGitlab;
use crate::state::State;
use crate::state::jobs::Job;
use crate::state::pipelines::Pipeline;
use crate::state::status::Status;

fn path_of(state: &State, project: u64) -> String {
    let project = state.projects.get(&project);
    project.map_or_else(String::new, |project| project.full_path.clone())
}

pub(super) fn user(gitlab: &FakeGitlab, state: &State, id: u64) -> Value {
    state.users.get(&id).map_or(Value::Null, |user| {
        json!({
            "id": user.id,
            "username": user.username,
            "name": user.name,
            "state": "active",
            "locked": false,
            "avatar_url": null,
            "web_url": format!("{}/{}", gitlab.url(), user.username),
        })
    })
}

fn detailed_status(status: Status, path: &str) -> Value {
    let text = match status {
        Status::Success => "passed",
        status => status.name(),
    };
    json!({
        "icon": format!("status_{}", status.name()),
        "text": text,
        "label": text,
        "group": status.name(),
        "tooltip": text,
        "has_details": true,
        "details_path": path,
        "illustration": null,
        "favicon": format!("/assets/ci_favicons/favicon_status_{}.png", status.name()),
    })
}

/// Formats a pipeline of a list.
pub(super) fn pipeline_row(gitlab: &FakeGitlab, state: &State, row: &Pipeline) -> Value {
    let path = path_of(state, row.project.0);
    json!({
        "id": row.id.0,
        "iid": row.iid,
        "project_id": row.project.0,
        "sha": row.sha().to_string(),
        "ref": row.git_ref,
        "status": row.status.name(),
        "source": row.source.name(),
        "name": row.name,
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
        "web_url": format!("{}/{path}/-/pipelines/{}", gitlab.url(), row.id),
    })
}

/// Formats a single pipeline.
pub(super) fn pipeline(gitlab: &FakeGitlab, state: &State, row: &Pipeline) -> Value {
    let mut entry = pipeline_row(gitlab, state, row);
    let path = path_of(state, row.project.0);
    let more = json!({
        "before_sha": "0".repeat(40),
        "tag": row.is_tag,
        "yaml_errors": null,
        "user": user(gitlab, state, row.user),
        "started_at": row.started_at.map(|at| at.to_string()),
        "finished_at": row.finished_at.map(|at| at.to_string()),
        "committed_at": null,
        "duration": row.duration(),
        "queued_duration": row.queued_duration(),
        "coverage": null,
        "detailed_status": detailed_status(row.status, &format!("/{path}/-/pipelines/{}", row.id)),
        "archived": false,
    });
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    entry
}

/// Formats a job.
pub(super) fn job(gitlab: &FakeGitlab, state: &State, row: &Job) -> Value {
    let path = path_of(state, row.project.0);
    let pipeline = state.pipelines.get(&row.pipeline.0);
    let runner = row.assigned.as_ref().map(|assigned| assigned.runner);
    let runner = runner.and_then(|runner| state.runners.get(&runner.0));
    let artifacts = state.artifacts.get(&row.id.0);
    json!({
        "id": row.id.0,
        "status": row.status.name(),
        "stage": row.stage,
        "name": row.name,
        "ref": pipeline.map(|pipeline| &pipeline.git_ref),
        "tag": pipeline.is_some_and(|pipeline| pipeline.is_tag),
        "coverage": null,
        "allow_failure": row.allow_failure,
        "created_at": row.created_at.to_string(),
        "started_at": row.started_at.map(|at| at.to_string()),
        "finished_at": row.finished_at.map(|at| at.to_string()),
        "erased_at": null,
        "duration": row.elapsed(gitlab.clock().now()),
        "queued_duration": row.queued_duration(),
        "user": user(gitlab, state, row.user),
        "commit": pipeline.map(|pipeline| json!({
            "id": pipeline.sha().to_string(),
            "short_id": pipeline.commit.short_id(),
            "title": pipeline.commit.title(),
            "message": pipeline.commit.message,
        })),
        "pipeline": pipeline.map(|pipeline| pipeline_row(gitlab, state, pipeline)),
        "failure_reason": row.failure_reason,
        "exit_code": row.exit_code,
        "web_url": format!("{}/{path}/-/jobs/{}", gitlab.url(), row.id),
        "project": { "ci_job_token_scope_enabled": false },
        "artifacts_file": artifacts.map(|artifacts| json!({
            "filename": artifacts.file_name,
            "size": artifacts.data.len(),
        })),
        "artifacts": artifacts.map_or_else(Vec::new, |artifacts| vec![json!({
            "file_type": artifacts.artifact_type,
            "size": artifacts.data.len(),
            "filename": artifacts.file_name,
            "file_format": artifacts.artifact_format,
        })]),
        "artifacts_expire_at": null,
        "archived": false,
        "runner": runner.map(|runner| json!({
            "id": runner.id.0,
            "description": runner.options.description,
            "active": !runner.paused,
            "paused": runner.paused,
            "is_shared": runner.options.projects.is_none(),
            "runner_type": "instance_type",
            "online": true,
            "status": "online",
        })),
        "runner_manager": row.assigned.as_ref().map(|assigned| json!({
            "system_id": assigned.system_id,
        })),
        "tag_list": row.tags(),
    })
}

/// Formats a commit status.
pub(super) fn status(gitlab: &FakeGitlab, state: &State, row: &Job) -> Value {
    let pipeline = state.pipelines.get(&row.pipeline.0);
    let external = row.external();
    let path = path_of(state, row.project.0);
    let own = || format!("{}/{path}/-/jobs/{}", gitlab.url(), row.id);
    json!({
        "id": row.id.0,
        "sha": pipeline.map(|pipeline| pipeline.sha().to_string()),
        "ref": pipeline.map(|pipeline| &pipeline.git_ref),
        "status": row.status.name(),
        "name": row.name,
        "target_url": external.map_or_else(|| Some(own()), |external| external.target_url.clone()),
        "description": external.and_then(|external| external.description.clone()),
        "created_at": row.created_at.to_string(),
        "started_at": row.started_at.map(|at| at.to_string()),
        "finished_at": row.finished_at.map(|at| at.to_string()),
        "allow_failure": row.allow_failure,
        "coverage": external.and_then(|external| external.coverage),
        "pipeline_id": row.pipeline.0,
        "author": user(gitlab, state, row.user),
    })
}
