//! Commit statuses, reported by other programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::entries;
use super::errors::{Refusal, reader};
use super::input::Input;
use super::pages::{Page, api_uri};
use super::pipelines::{forbidden, member};
use super::projects::find;
use crate::FakeGitlab;
use crate::ci::create::Actor;
use crate::ci::statuses::{NewStatus, StatusError};
use crate::state::jobs::Job;
use crate::state::roles::Role;
use crate::state::status::Status;

/// The maximum length of each text.
const LONGEST: usize = 255;
/// The allowed states.
const STATES: [&str; 6] = [
    "pending", "running", "success", "failed", "canceled", "skipped",
];

/// A new status.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    state: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    name: Option<String>,
    context: Option<String>,
    target_url: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "number")]
    coverage: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    pipeline_id: Option<f64>,
}

/// Deserializes a number, which is a text in forms.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }))
}

fn invalid(field: &str, text: &str) -> Refusal {
    Refusal::body(400, json!({ "message": { field: [text] } }))
}

pub(super) async fn create(
    State(gitlab): State<FakeGitlab>,
    Path((id, sha)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    Input(body): Input<Body>,
) -> Result<Response, Refusal> {
    let (caller, project) = member(&gitlab, &headers, &id, &uri, Role::Developer)?;
    let new = check(body)?;
    if gitlab.decrement(|settings| &mut settings.contended_statuses) {
        return Err(Refusal::message(
            409,
            "409 Conflict - Failed to obtain a lock on the commit",
        ));
    }
    let commit = is_full_commit_id(&sha)
        .then(|| project.storage.resolve(&project.default_branch, Some(&sha)));
    let commit = commit.transpose()?.flatten();
    let commit = commit.ok_or_else(|| Refusal::not_found("Commit"))?;
    let commit = project.storage.commit(commit)?;
    let row = gitlab
        .add_status(&Actor::from(&caller), &project, commit, new)
        .map_err(refuse)?;
    let entry = entries::status(&gitlab, &gitlab.state(), &row);
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

fn is_full_commit_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn refuse(error: StatusError) -> Refusal {
    match error {
        StatusError::Forbidden => forbidden(),
        StatusError::NoReferences => Refusal::not_found("References for commit"),
        StatusError::NoPipeline => Refusal::not_found("Pipeline for pipeline_id, sha and ref"),
        StatusError::SameState { .. } => Refusal::message(400, &error.to_string()),
        StatusError::Broken(error) => Refusal::from(error),
    }
}

fn check(body: Body) -> Result<NewStatus, Refusal> {
    let Some(state) = body.state.filter(|state| !state.is_empty()) else {
        return Err(Refusal::message(400, "400 Bad request - State is required"));
    };
    let invalid_state = || Refusal::error(400, "state does not have a valid value");
    if !STATES.contains(&state.as_str()) {
        return Err(invalid_state());
    }
    let name = body.name.or(body.context);
    let name = name.unwrap_or_else(|| "default".to_owned());
    let texts = [
        ("ref", body.git_ref.as_ref()),
        ("name", Some(&name)),
        ("target_url", body.target_url.as_ref()),
        ("description", body.description.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.chars().count() > LONGEST) {
            return Err(invalid(field, "is too long (maximum is 255 characters)"));
        }
    }
    if body
        .target_url
        .as_ref()
        .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        let text = "is blocked: Only allowed schemes are http, https";
        return Err(invalid("target_url", text));
    }
    Ok(NewStatus {
        status: state.parse::<Status>().map_err(|_| invalid_state())?,
        git_ref: body.git_ref.filter(|name| !name.is_empty()),
        name,
        target_url: body.target_url,
        description: body.description,
        coverage: body.coverage,
        pipeline: body.pipeline_id.map(|id| id as u64),
    })
}

/// The filter of statuses.
#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    stage: Option<String>,
    name: Option<String>,
    pipeline_id: Option<u64>,
    #[serde(default)]
    all: bool,
}

pub(super) async fn list(
    State(gitlab): State<FakeGitlab>,
    Path((id, sha)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let commit = project
        .storage
        .resolve(&project.default_branch, Some(&sha))?;
    let commit = commit.ok_or_else(|| Refusal::not_found("Commit"))?;
    let state = gitlab.state();
    let is =
        |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
    let mut rows: Vec<Arc<Job>> = state
        .pipelines_of(project.id.0)
        .filter(|pipeline| pipeline.sha() == commit && is(&filter.git_ref, &pipeline.git_ref))
        .filter(|pipeline| filter.pipeline_id.is_none_or(|id| id == pipeline.id.0))
        .flat_map(|pipeline| state.jobs_of(pipeline))
        .filter(|row| is(&filter.stage, &row.stage) && is(&filter.name, &row.name))
        .filter(|row| filter.all || !row.retried)
        .cloned()
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let total = rows.len();
    let entry = |row: Arc<Job>| entries::status(&gitlab, &state, &row);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}
