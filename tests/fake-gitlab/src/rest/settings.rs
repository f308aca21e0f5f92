//! Settings of projects: `PUT /projects/:id` and protected branches.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::Refusal;
use super::input::Input;
use super::pipelines::member;
use super::projects::entry;
use crate::FakeGitlab;
use crate::ci::create::Actor;
use crate::state::roles::{Role, VariablesRole};

/// The settings to change.
#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    ci_config_path: Option<String>,
    ci_pipeline_variables_minimum_override_role: Option<String>,
    build_timeout: Option<i64>,
    description: Option<String>,
    default_branch: Option<String>,
}

pub(super) async fn update(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    Input(settings): Input<Settings>,
) -> Result<Json<Value>, Refusal> {
    let (caller, project) = member(&gitlab, &headers, &id, &uri, Role::Maintainer)?;
    let role = settings
        .ci_pipeline_variables_minimum_override_role
        .as_deref()
        .map(str::parse::<VariablesRole>)
        .transpose()
        .map_err(|error| Refusal::error(400, &error.to_string()))?;
    let from = project.variables_role;
    let is_guarded = matches!(from, VariablesRole::Owner | VariablesRole::NoOneAllowed);
    if role.is_some_and(|role| role != from)
        && is_guarded
        && Actor::from(&caller).role_in(&project) < Role::Owner
    {
        let text = "must be an Owner to change this setting";
        let body = json!({ "message": { "ci_pipeline_variables_minimum_override_role": [text] } });
        return Err(Refusal::body(400, body));
    }
    let path = settings.ci_config_path.as_deref();
    if path.is_some_and(|path| path.contains("..") || path.starts_with('/')) {
        let body = json!({ "message": { "ci_config_path": ["cannot include leading slash or directory traversal."] } });
        return Err(Refusal::body(400, body));
    }
    if let Some(path) = path {
        gitlab.set_ci_config_path(project.id, path)?;
    }
    if let Some(branch) = &settings.default_branch {
        let name = format!("refs/heads/{branch}");
        if gitlab.head(project.id, Some(&name))?.is_none() {
            let text = format!("Could not change HEAD: branch '{branch}' does not exist");
            return Err(Refusal::body(400, json!({ "message": { "base": [text] } })));
        }
        gitlab.set_default_branch(project.id, branch)?;
    }
    let now = gitlab.clock().now();
    gitlab.change_project(project.id, |project| {
        if let Some(role) = role {
            project.variables_role = role;
        }
        if let Some(seconds) = settings.build_timeout {
            project.build_timeout = seconds;
        }
        if let Some(description) = settings.description {
            project.description = Some(description);
        }
        project.updated_at = now;
    })?;
    let project = gitlab.project(project.id)?;
    Ok(Json(entry(&gitlab, &project)))
}

/// A branch to protect.
#[derive(Debug, Deserialize)]
pub(super) struct Branch {
    name: String,
}

pub(super) async fn protect(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    Input(branch): Input<Branch>,
) -> Result<Response, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Maintainer)?;
    if project.is_protected(&branch.name) {
        let text = format!("Protected branch '{}' already exists", branch.name);
        return Err(Refusal::message(409, &text));
    }
    gitlab.protect_branch(project.id, &branch.name)?;
    let body = json!({ "name": branch.name, "allow_force_push": false });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(super) async fn unprotect(
    State(gitlab): State<FakeGitlab>,
    Path((id, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Maintainer)?;
    if !project.is_protected(&name) {
        return Err(Refusal::message(404, "404 Not found"));
    }
    gitlab.unprotect_branch(project.id, &name)?;
    Ok(StatusCode::NO_CONTENT)
}
