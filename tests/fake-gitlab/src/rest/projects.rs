//! Projects and groups.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{Refusal, reader, writer};
use super::input::Input;
use crate::FakeGitlab;
use crate::auth::{MaybeCaller, sees};
use crate::git_http::is_empty;
use crate::state::projects::{Group, Project};

/// Finds the project of a request by its number or path, which may be an old one.
pub(super) fn find(
    gitlab: &FakeGitlab,
    who: &MaybeCaller,
    id: &str,
    uri: &Uri,
) -> Result<Arc<Project>, Refusal> {
    let not_found = || Refusal::not_found("Project");
    let state = gitlab.state();
    if let Ok(number) = id.parse::<u64>() {
        let project = state.projects.get(&number).cloned();
        return project
            .filter(|project| sees(who, project))
            .ok_or_else(not_found);
    }
    let project = state.project_at(id).filter(|project| sees(who, project));
    let project = project.ok_or_else(not_found)?;
    if !project.full_path.eq_ignore_ascii_case(id) {
        // The rest of the path is kept as it was sent.
        let path = uri
            .path()
            .trim_start_matches("/api/v4")
            .trim_start_matches("/projects/");
        let rest = path.find('/').map_or("", |at| &path[at..]);
        let query = uri
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        let location = format!(
            "{}/api/v4/projects/{}{rest}{query}",
            gitlab.url(),
            project.id
        );
        return Err(Refusal::moved(location));
    }
    Ok(project)
}

pub(super) async fn read(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    Ok(Json(entry(&gitlab, &project)))
}

pub(super) fn entry(gitlab: &FakeGitlab, project: &Project) -> Value {
    let url = gitlab.url();
    let empty = is_empty(&project.storage);
    let namespace = gitlab.state().group_at(project.namespace());
    json!({
        "id": project.id.0,
        "description": project.description,
        "name": project.path(),
        "name_with_namespace": project.full_path.replace('/', " / "),
        "path": project.path(),
        "path_with_namespace": project.full_path,
        "created_at": project.created_at.to_string(),
        "updated_at": project.updated_at.to_string(),
        "last_activity_at": project.last_activity_at.to_string(),
        "default_branch": (!empty).then_some(&project.default_branch),
        "empty_repo": empty,
        "archived": project.archived,
        "visibility": project.visibility(),
        "marked_for_deletion_on": project.marked_for_deletion.map(day),
        "web_url": format!("{url}/{}", project.full_path),
        "http_url_to_repo": gitlab.git_url(&project.full_path),
        "ssh_url_to_repo": format!("ssh://git@127.0.0.1/{}.git", project.full_path),
        "namespace": namespace.map(|group| group_entry(gitlab, &group)),
        "ci_config_path": project.ci_config_path,
        "ci_pipeline_variables_minimum_override_role": project.variables_role.name(),
        "build_timeout": project.build_timeout,
        "builds_access_level": "enabled",
    })
}

fn day(time: jiff::Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

fn group_entry(gitlab: &FakeGitlab, group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.path(),
        "path": group.path(),
        "kind": "group",
        "full_path": group.full_path,
        "web_url": format!("{}/groups/{}", gitlab.url(), group.full_path),
    })
}

/// The parameters of a new group.
#[derive(Debug, Deserialize)]
pub(super) struct NewGroup {
    path: String,
    parent_id: Option<u64>,
}

pub(super) async fn create_group(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(new): Input<NewGroup>,
) -> Result<Response, Refusal> {
    writer(&gitlab, &headers)?;
    let path = match new.parent_id {
        Some(parent) => format!("{}/{}", group_path(&gitlab, parent)?, new.path),
        None => new.path,
    };
    if gitlab.state().group_at(&path).is_some() {
        return Err(taken());
    }
    gitlab
        .create_group(&path)
        .map_err(|error| invalid(&error))?;
    let group = gitlab.state().group_at(&path);
    let group = group.ok_or_else(|| Refusal::not_found("Group"))?;
    Ok((StatusCode::CREATED, Json(group_entry(&gitlab, &group))).into_response())
}

/// The parameters of a new project.
#[derive(Debug, Deserialize)]
pub(super) struct NewProject {
    path: String,
    namespace_id: Option<u64>,
    namespace_path: Option<String>,
    description: Option<String>,
}

pub(super) async fn create(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(new): Input<NewProject>,
) -> Result<Response, Refusal> {
    writer(&gitlab, &headers)?;
    let namespace = match (new.namespace_id, new.namespace_path) {
        (Some(id), _) => group_path(&gitlab, id)?,
        (None, Some(path)) => path,
        (None, None) => {
            let body = json!({ "message": { "namespace": ["is not valid"] } });
            return Err(Refusal::body(400, body));
        }
    };
    let full_path = format!("{namespace}/{}", new.path);
    if gitlab
        .state()
        .project_paths
        .contains_key(&full_path.to_lowercase())
    {
        return Err(taken());
    }
    let id = gitlab
        .create_project(&full_path)
        .map_err(|error| invalid(&error))?;
    if let Some(description) = new.description {
        gitlab.set_description(id, &description)?;
    }
    let project = gitlab.project(id)?;
    Ok((StatusCode::CREATED, Json(entry(&gitlab, &project))).into_response())
}

fn group_path(gitlab: &FakeGitlab, id: u64) -> Result<String, Refusal> {
    let group = gitlab.state().groups.get(&id).cloned();
    let group = group.ok_or_else(|| Refusal::not_found("Group"))?;
    Ok(group.full_path.clone())
}

fn taken() -> Refusal {
    let body = json!({ "message": { "path": ["has already been taken"] } });
    Refusal::body(400, body)
}

fn invalid(error: &anyhow::Error) -> Refusal {
    Refusal::body(400, json!({ "message": { "path": [error.to_string()] } }))
}
