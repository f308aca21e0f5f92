//! Pipelines.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::entries;
use super::errors::{Refusal, reader, writer};
use super::input::Input;
use super::pages::{Page, api_uri};
use super::projects::find;
use crate::FakeGitlab;
use crate::auth::Caller;
use crate::ci::create::{Actor, CreateError, NewPipeline};
use crate::state::pipelines::{Pipeline, PipelineId, Source, Variable};
use crate::state::projects::Project;
use crate::state::roles::Role;
use crate::state::status::Status;

pub(super) fn forbidden() -> Refusal {
    Refusal::message(403, "403 Forbidden")
}

/// Authenticates a caller that has at least this role in a project.
pub(super) fn member(
    gitlab: &FakeGitlab,
    headers: &HeaderMap,
    id: &str,
    uri: &Uri,
    least: Role,
) -> Result<(Caller, Arc<Project>), Refusal> {
    let caller = writer(gitlab, headers)?;
    let project = find(gitlab, &Some(caller.clone()), id, uri)?;
    match Actor::from(&caller).role_in(&project) >= least {
        true => Ok((caller, project)),
        false => Err(forbidden()),
    }
}

/// Returns a pipeline of a project.
pub(super) fn of_project(
    gitlab: &FakeGitlab,
    project: &Project,
    id: u64,
) -> Result<Arc<Pipeline>, Refusal> {
    let state = gitlab.state();
    let row = state.pipelines.get(&id).cloned();
    row.filter(|row| row.project == project.id)
        .ok_or_else(|| Refusal::message(404, "404 Not found"))
}

/// The parameters of a new pipeline.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    #[serde(default)]
    variables: Vec<WantedVariable>,
    #[serde(default)]
    inputs: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct WantedVariable {
    key: String,
    value: Option<String>,
    variable_type: Option<String>,
}

pub(super) async fn create(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    Input(wanted): Input<Wanted>,
) -> Result<Response, Refusal> {
    let caller = writer(&gitlab, &headers)?;
    let project = find(&gitlab, &Some(caller.clone()), &id, &uri)?;
    let git_ref = wanted
        .git_ref
        .ok_or_else(|| Refusal::error(400, "ref is missing"))?;
    let variables = wanted.variables.into_iter().map(|variable| Variable {
        is_file: variable.variable_type.as_deref() == Some("file"),
        key: variable.key,
        value: variable.value.unwrap_or_default(),
    });
    let new = NewPipeline {
        git_ref,
        variables: variables.collect(),
        inputs: wanted.inputs,
        source: Source::Api,
        merge_request: None,
    };
    let created = gitlab.create_pipeline_as(&Actor::from(&caller), &project, new);
    let row = created.map_err(|error| match error {
        CreateError::Forbidden => forbidden(),
        CreateError::Refused(text) => Refusal::body(400, json!({ "message": { "base": [text] } })),
        CreateError::Broken(error) => Refusal::from(error),
    })?;
    let entry = entries::pipeline(&gitlab, &gitlab.state(), &row);
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

/// The filter of pipelines.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    scope: Option<String>,
    status: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    sha: Option<String>,
    source: Option<String>,
    name: Option<String>,
    username: Option<String>,
    updated_after: Option<Timestamp>,
    updated_before: Option<Timestamp>,
    created_after: Option<Timestamp>,
    created_before: Option<Timestamp>,
    order_by: Option<String>,
    sort: Option<String>,
}

impl Filter {
    fn check(&self) -> Result<(), Refusal> {
        let invalid = |name: &str| {
            Err(Refusal::error(
                400,
                &format!("{name} does not have a valid value"),
            ))
        };
        let scopes = ["running", "pending", "finished", "branches", "tags"];
        let orders = ["id", "status", "ref", "updated_at", "user_id"];
        let one_of = |value: &Option<String>, all: &[&str]| {
            value
                .as_ref()
                .is_none_or(|value| all.contains(&value.as_str()))
        };
        if !one_of(&self.scope, &scopes) {
            return invalid("scope");
        }
        if !one_of(&self.order_by, &orders) {
            return invalid("order_by");
        }
        if !one_of(&self.sort, &["asc", "desc"]) {
            return invalid("sort");
        }
        match &self.status {
            Some(status) if status.parse::<Status>().is_err() => invalid("status"),
            _ => Ok(()),
        }
    }

    fn wants(&self, row: &Pipeline, username: &str) -> bool {
        let is =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        let in_scope = match self.scope.as_deref() {
            Some("running") => row.status == Status::Running,
            Some("pending") => row.status == Status::Pending,
            Some("finished") => row.status.is_complete(),
            Some("branches") => !row.is_tag,
            Some("tags") => row.is_tag,
            _ => true,
        };
        let after = |limit: Option<Timestamp>, own| limit.is_none_or(|limit| own > limit);
        let before = |limit: Option<Timestamp>, own| limit.is_none_or(|limit| own < limit);
        in_scope
            && is(&self.status, row.status.name())
            && is(&self.git_ref, &row.git_ref)
            && is(&self.sha, &row.sha().to_string())
            && is(&self.source, row.source.name())
            && is(&self.name, row.name.as_deref().unwrap_or_default())
            && is(&self.username, username)
            && after(self.updated_after, row.updated_at)
            && before(self.updated_before, row.updated_at)
            // In GitLab, these limits are inclusive.
            && self.created_after.is_none_or(|limit| row.created_at >= limit)
            && self.created_before.is_none_or(|limit| row.created_at <= limit)
    }

    fn sort(&self, rows: &mut [Arc<Pipeline>]) {
        match self.order_by.as_deref() {
            Some("status") => rows.sort_by_key(|row| (row.status.name(), row.id)),
            Some("ref") => rows.sort_by_key(|row| (row.git_ref.clone(), row.id)),
            Some("updated_at") => rows.sort_by_key(|row| (row.updated_at, row.id)),
            Some("user_id") => rows.sort_by_key(|row| (row.user, row.id)),
            _ => rows.sort_by_key(|row| row.id),
        }
        if self.sort.as_deref() != Some("asc") {
            rows.reverse();
        }
    }
}

pub(super) async fn list(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    filter.check()?;
    let state = gitlab.state();
    let name_of = |id: u64| {
        let user = state.users.get(&id);
        user.map_or("", |user| user.username.as_str())
    };
    let mut rows: Vec<Arc<Pipeline>> = state
        .pipelines_of(project.id.0)
        .filter(|row| filter.wants(row, name_of(row.user)))
        .cloned()
        .collect();
    filter.sort(&mut rows);
    let total = rows.len();
    let entry = |row: Arc<Pipeline>| entries::pipeline_row(&gitlab, &state, &row);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}

pub(super) async fn read(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    Ok(Json(entries::pipeline(&gitlab, &gitlab.state(), &row)))
}

/// The branch whose newest pipeline is requested.
#[derive(Debug, Deserialize)]
pub(super) struct OfRef {
    #[serde(rename = "ref")]
    git_ref: Option<String>,
}

pub(super) async fn latest(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<String>,
    Query(of): Query<OfRef>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let git_ref = of.git_ref.as_ref().unwrap_or(&project.default_branch);
    let head = project
        .storage
        .resolve(&project.default_branch, Some(git_ref))?;
    let state = gitlab.state();
    let mut newest = state.pipelines_of(project.id.0).rev();
    let row = newest.find(|row| row.git_ref == *git_ref && Some(row.sha()) == head);
    // GitLab's oddity: not 404.
    let row = row.ok_or_else(forbidden)?;
    Ok(Json(entries::pipeline(&gitlab, &state, row)))
}

pub(super) async fn variables(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    let variables = row.variables.iter().map(|variable| {
        let kind = if variable.is_file { "file" } else { "env_var" };
        json!({
            "key": variable.key,
            "value": variable.value,
            "variable_type": kind,
            "raw": false,
        })
    });
    Ok(Json(variables.collect()))
}

pub(super) async fn cancel(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Developer)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    let row = gitlab.change().cancel_pipeline(row.id)?;
    Ok(Json(entries::pipeline(&gitlab, &gitlab.state(), &row)))
}

pub(super) async fn retry(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Developer)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    let row = gitlab.change().retry_pipeline(row.id)?;
    let entry = entries::pipeline(&gitlab, &gitlab.state(), &row);
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

pub(super) async fn remove(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Owner)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    gitlab.delete_pipeline(row.id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The new name of a pipeline.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    name: String,
}

pub(super) async fn rename(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
    Input(metadata): Input<Metadata>,
) -> Result<Json<Value>, Refusal> {
    let (_, project) = member(&gitlab, &headers, &id, &uri, Role::Developer)?;
    let row = of_project(&gitlab, &project, pipeline)?;
    let id = PipelineId(row.id.0);
    let row = gitlab
        .change()
        .set_pipeline(id, |row| row.name = Some(metadata.name))?;
    Ok(Json(entries::pipeline(&gitlab, &gitlab.state(), &row)))
}
