//! Authentication of runners, and of requests about their jobs.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::FakeGitlab;
use crate::rest::Refusal;
use crate::state::jobs::{Job, JobId};
use crate::state::runners::Runner;
use crate::state::status::Status;

pub(super) fn forbidden() -> Refusal {
    Refusal::message(403, "403 Forbidden")
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Authenticates a runner by the token in the header or body.
pub(super) fn runner(
    gitlab: &FakeGitlab,
    headers: &HeaderMap,
    in_body: Option<&str>,
) -> Result<Arc<Runner>, Refusal> {
    let token = header(headers, "runner-token").or(in_body);
    let token = token
        .filter(|token| !token.is_empty())
        .ok_or_else(forbidden)?;
    let state = gitlab.state();
    let found = state.runners.values().find(|runner| runner.token == token);
    found.cloned().ok_or_else(forbidden)
}

/// A rejection because the job is no longer assigned to the runner. It contains the job's status, so that the runner
/// stops.
pub(super) struct JobNotAssigned {
    status: Option<Status>,
    text: &'static str,
}

impl From<JobNotAssigned> for Response {
    fn from(refusal: JobNotAssigned) -> Self {
        let body = json!({ "message": refusal.text });
        let mut response = (StatusCode::FORBIDDEN, Json(body)).into_response();
        if let Some(status) = refusal.status {
            add_status(&mut response, status);
        }
        response
    }
}

pub(super) fn add_status(response: &mut Response, status: Status) {
    response
        .headers_mut()
        .insert("job-status", HeaderValue::from_static(status.name()));
}

/// Returns the job of a request, if its token is valid and a runner has it.
pub(super) fn job(
    gitlab: &FakeGitlab,
    id: u64,
    headers: &HeaderMap,
    in_body: Option<&str>,
) -> Result<Arc<Job>, JobNotAssigned> {
    let job = with_token(gitlab, id, headers, in_body)?;
    match job.status {
        Status::Running | Status::Canceling => Ok(job),
        Status::Pending if job.assigned.is_some() => Ok(job),
        status => Err(JobNotAssigned {
            status: Some(status),
            text: "403 Forbidden - Job is not processing on runner",
        }),
    }
}

/// Returns the job of a request, if its token is valid.
pub(super) fn with_token(
    gitlab: &FakeGitlab,
    id: u64,
    headers: &HeaderMap,
    in_body: Option<&str>,
) -> Result<Arc<Job>, JobNotAssigned> {
    let token = header(headers, "job-token").or(in_body);
    let job = gitlab.state().jobs.get(&JobId(id).0).cloned();
    // A deleted job gives 403, not 404: only then a runner stops.
    job.filter(|job| token == Some(job.token.as_str()))
        .ok_or(JobNotAssigned {
            status: None,
            text: "403 Forbidden",
        })
}
