//! Jobs, for users and programs other than runners.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::entries;
use super::errors::{Refusal, reader};
use super::pages::{Page, api_uri};
use super::pipelines::{member, of_project};
use super::projects::find;
use crate::FakeGitlab;
use crate::runner_api::artifacts::zip;
use crate::state::jobs::Job;
use crate::state::projects::Project;
use crate::state::roles::Role;

fn job_of(gitlab: &FakeGitlab, project: &Project, id: u64) -> Result<Arc<Job>, Refusal> {
    let row = gitlab.state().jobs.get(&id).cloned();
    row.filter(|row| row.project == project.id)
        .ok_or_else(|| Refusal::message(404, "404 Not Found"))
}

/// Returns a job of a project that the caller can see.
fn visible_job(
    gitlab: &FakeGitlab,
    headers: &HeaderMap,
    (id, job): &(String, u64),
    uri: &Uri,
) -> Result<Arc<Job>, Refusal> {
    let who = reader(gitlab, headers)?;
    let project = find(gitlab, &who, id, uri)?;
    job_of(gitlab, &project, *job)
}

/// Returns the values of `scope` or `scope[]`, and whether retried jobs are requested.
fn wanted(query: &str) -> (Vec<String>, bool) {
    let mut scopes = Vec::new();
    let mut retried = false;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match decode(name).as_str() {
            "scope" | "scope[]" => scopes.push(decode(value)),
            "include_retried" => retried = value == "true",
            _ => {}
        }
    }
    (scopes, retried)
}

pub(super) async fn of_pipeline(
    State(gitlab): State<FakeGitlab>,
    Path((id, pipeline)): Path<(String, u64)>,
    RawQuery(query): RawQuery,
    axum::extract::Query(page): axum::extract::Query<Page>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let who = reader(&gitlab, &headers)?;
    let project = find(&gitlab, &who, &id, &uri)?;
    let pipeline = of_project(&gitlab, &project, pipeline)?;
    let (scopes, retried) = wanted(query.as_deref().unwrap_or_default());
    let state = gitlab.state();
    let rows: Vec<Arc<Job>> = state
        .jobs_of(&pipeline)
        .rev()
        .filter(|row| row.config().is_some() && (retried || !row.retried))
        .filter(|row| scopes.is_empty() || scopes.iter().any(|scope| scope == row.status.name()))
        .cloned()
        .collect();
    let total = rows.len();
    let entry = |row: Arc<Job>| entries::job(&gitlab, &state, &row);
    Ok(page.respond_with(gitlab.url(), &api_uri(&uri), rows, Some(total), entry))
}

pub(super) async fn read(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let row = visible_job(&gitlab, &headers, &path, &uri)?;
    Ok(Json(entries::job(&gitlab, &gitlab.state(), &row)))
}

/// Returns the job of a job token.
pub(super) async fn own(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let token = headers
        .get("job-token")
        .and_then(|token| token.to_str().ok());
    let state = gitlab.state();
    let found = state
        .jobs
        .values()
        .find(|row| Some(row.token.as_str()) == token);
    let row = found.filter(|row| !row.status.is_complete());
    let row = row.ok_or_else(|| Refusal::message(401, "401 Unauthorized"))?;
    Ok(Json(entries::job(&gitlab, &state, row)))
}

pub(super) async fn trace(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = visible_job(&gitlab, &headers, &path, &uri)?;
    let text = gitlab.state().traces.get(&row.id.0).cloned();
    let kind = HeaderValue::from_static("text/plain");
    Ok(([(CONTENT_TYPE, kind)], text.unwrap_or_default()).into_response())
}

pub(super) async fn artifacts(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = visible_job(&gitlab, &headers, &path, &uri)?;
    let artifacts = gitlab.job_artifacts(row.id);
    let artifacts = artifacts.ok_or_else(|| Refusal::message(404, "404 Not Found"))?;
    Ok(zip(&artifacts))
}

fn changed(gitlab: &FakeGitlab, row: &Job) -> Response {
    let entry = entries::job(gitlab, &gitlab.state(), row);
    (StatusCode::CREATED, Json(entry)).into_response()
}

/// Returns a job that the caller may change.
fn changeable(
    gitlab: &FakeGitlab,
    headers: &HeaderMap,
    (id, job): &(String, u64),
    uri: &Uri,
) -> Result<Arc<Job>, Refusal> {
    let (_, project) = member(gitlab, headers, id, uri, Role::Developer)?;
    job_of(gitlab, &project, *job)
}

pub(super) async fn cancel(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = changeable(&gitlab, &headers, &path, &uri)?;
    gitlab.cancel_job(row.id)?;
    let row = gitlab.change().job(row.id)?;
    Ok(changed(&gitlab, &row))
}

pub(super) async fn retry(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = changeable(&gitlab, &headers, &path, &uri)?;
    if !row.is_retryable() {
        return Err(Refusal::message(
            403,
            "403 Forbidden - Job is not retryable",
        ));
    }
    let row = gitlab.change().retry_job(row.id)?;
    Ok(changed(&gitlab, &row))
}

pub(super) async fn play(
    State(gitlab): State<FakeGitlab>,
    Path(path): Path<(String, u64)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let row = changeable(&gitlab, &headers, &path, &uri)?;
    let played = gitlab.change().play_job(row.id);
    let row = played.map_err(|_| Refusal::message(400, "400 Bad request - Unplayable Job"))?;
    let entry = entries::job(&gitlab, &gitlab.state(), &row);
    // GitLab's oddity: nothing is created, so this is 200, unlike the others.
    Ok(Json(entry).into_response())
}
