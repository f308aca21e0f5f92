//! Registration and verification of runners.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{forbidden, runner};
use crate::FakeGitlab;
use crate::rest::{Input, Refusal};
use crate::state::runners::{RunnerId, RunnerManager};

/// The properties that runners report.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunnerMetadata {
    token: Option<String>,
    system_id: Option<String>,
    info: Value,
}

impl FakeGitlab {
    /// Records contact from a process of a runner.
    pub(super) fn record_runner_contact(&self, id: RunnerId, system_id: &str, info: &Value) {
        let manager = RunnerManager {
            system_id: system_id.to_owned(),
            info: info.clone(),
            contacted_at: self.clock().now(),
        };
        if let Some(runner) = self.state().runners.get_mut(&id.0) {
            let managers = &mut Arc::make_mut(runner).managers;
            managers.insert(system_id.to_owned(), manager);
        }
    }
}

/// Rejects registration with a registration token, as new GitLab servers do.
pub(super) async fn register() -> Refusal {
    Refusal::message(410, "410 Gone - Runner registration is disabled")
}

pub(super) async fn verify(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(introduction): Input<RunnerMetadata>,
) -> Result<Json<Value>, Refusal> {
    let runner = runner(&gitlab, &headers, introduction.token.as_deref())?;
    if let Some(system_id) = &introduction.system_id {
        gitlab.record_runner_contact(runner.id, system_id, &introduction.info);
    }
    Ok(Json(json!({
        "id": runner.id.0,
        "token": runner.token,
        "token_expires_at": null,
    })))
}

pub(super) async fn unregister(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(introduction): Input<RunnerMetadata>,
) -> Result<StatusCode, Refusal> {
    let runner = runner(&gitlab, &headers, introduction.token.as_deref())?;
    gitlab.state().runners.remove(&runner.id.0);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unregister_manager(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(introduction): Input<RunnerMetadata>,
) -> Result<StatusCode, Refusal> {
    let Some(system_id) = introduction.system_id else {
        return Err(Refusal::error(400, "system_id is missing"));
    };
    let runner = runner(&gitlab, &headers, introduction.token.as_deref())?;
    let mut state = gitlab.state();
    let row = state.runners.get_mut(&runner.id.0).ok_or_else(forbidden)?;
    match Arc::make_mut(row).managers.remove(&system_id) {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Refusal::message(404, "404 Runner manager Not Found")),
    }
}

pub(super) async fn reset_token(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
    Input(introduction): Input<RunnerMetadata>,
) -> Result<Response, Refusal> {
    let runner = runner(&gitlab, &headers, introduction.token.as_deref())?;
    let token = gitlab.secret("glrt-");
    if let Some(row) = gitlab.state().runners.get_mut(&runner.id.0) {
        Arc::make_mut(row).token.clone_from(&token);
    }
    let body = json!({ "token": token, "token_expires_at": null });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Responds that there is no job router, which runners do not need.
pub(super) async fn discover(
    State(gitlab): State<FakeGitlab>,
    headers: HeaderMap,
) -> Result<Refusal, Refusal> {
    runner(&gitlab, &headers, None)?;
    Ok(Refusal::message(501, "501 Not Implemented"))
}
