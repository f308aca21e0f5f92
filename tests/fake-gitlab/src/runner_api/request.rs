//! Requests of runners for jobs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::auth::runner;
use crate::FakeGitlab;
use crate::ci::payload::payload;
use crate::ci::queue::RunnerCapabilities;
use crate::rest::{Input, Refusal};
use crate::state::runners::Runner;

/// The body of a request for a job.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct JobRequest {
    token: Option<String>,
    system_id: Option<String>,
    last_update: Option<String>,
    info: Value,
}

impl JobRequest {
    fn system_id(&self) -> &str {
        // GitLab's name for runners that send none.
        self.system_id.as_deref().unwrap_or("<legacy>")
    }

    fn abilities(&self) -> RunnerCapabilities {
        let feature = |name: &str| self.info["features"][name].as_bool().unwrap_or_default();
        RunnerCapabilities {
            acknowledges: feature("two_phase_job_commit"),
            cancels_gracefully: feature("cancel_gracefully"),
        }
    }
}

pub(super) async fn request(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(request): Input<JobRequest>,
) -> Result<Response, Refusal> {
    let runner = runner(&gitlab, &headers, request.token.as_deref())?;
    gitlab.record_runner_contact(runner.id, request.system_id(), &request.info);
    let deadline = Instant::now() + gitlab.ci_settings().long_poll;
    let mut queue = gitlab.shared.wakers.queue.subscribe();
    // A runner whose last update is current waits until something changes.
    let mut seen = request.last_update.clone();
    loop {
        let version = queue.borrow_and_update().to_string();
        if seen.take().is_none_or(|seen| seen != version)
            && let Some(job) = take(&gitlab, &runner, &request)?
        {
            return Ok((StatusCode::CREATED, Json(job)).into_response());
        }
        let more = tokio::time::timeout_at(deadline, queue.changed()).await;
        if !matches!(more, Ok(Ok(()))) {
            return Ok(nothing(&version));
        }
    }
}

fn take(
    gitlab: &FakeGitlab,
    runner: &Runner,
    request: &JobRequest,
) -> Result<Option<Value>, Refusal> {
    let mut change = gitlab.change();
    // It may have changed during the wait.
    let Some(runner) = change.state.runners.get(&runner.id.0).cloned() else {
        return Ok(None);
    };
    let taken = change.take(&runner, request.system_id(), request.abilities())?;
    let Some(job) = taken else {
        return Ok(None);
    };
    Ok(Some(payload(gitlab, &change.state, &job)?))
}

fn nothing(version: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(version) = HeaderValue::from_str(version) {
        response
            .headers_mut()
            .insert("x-gitlab-last-update", version);
    }
    response
}
