//! Artifacts of jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::auth::{header, job};
use crate::FakeGitlab;
use crate::rest::Refusal;
use crate::state::jobs::Artifacts;
use crate::state::status::Status;

/// The type and format of artifacts.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    artifact_type: Option<String>,
    artifact_format: Option<String>,
    expire_in: Option<String>,
}

pub(super) async fn upload(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<u64>,
    Query(kind): Query<Kind>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Response, Response> {
    let row = job(&gitlab, id, &headers, None).map_err(Response::from)?;
    let broken = |text: String| Refusal::message(400, &text).into_response();
    let mut found = None;
    loop {
        let field = form.next_field().await;
        let Some(field) = field.map_err(|error| broken(error.body_text()))? else {
            break;
        };
        if field.name() == Some("file") {
            let file_name = field.file_name().unwrap_or("artifacts.zip").to_owned();
            let data = field.bytes().await;
            found = Some((file_name, data.map_err(|error| broken(error.body_text()))?));
        }
    }
    let Some((file_name, data)) = found else {
        return Err(Refusal::error(400, "file is invalid").into_response());
    };
    let artifacts = Artifacts {
        file_name,
        data,
        artifact_type: kind.artifact_type.unwrap_or_else(|| "archive".to_owned()),
        artifact_format: kind.artifact_format.unwrap_or_else(|| "zip".to_owned()),
        expire_in: kind.expire_in,
    };
    let mut change = gitlab.change();
    change.state.artifacts.insert(id, Arc::new(artifacts));
    let contacted = change.record_contact(row.id);
    contacted.map_err(|error| Refusal::from(error).into_response())?;
    let body = json!({ "id": row.id.0, "token": row.token });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(super) async fn download(
    State(gitlab): State<FakeGitlab>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let token = header(&headers, "job-token");
    let token = token.ok_or_else(|| Refusal::message(401, "401 Unauthorized"))?;
    let state = gitlab.state();
    let row = state.jobs.get(&id).cloned();
    let row = row.ok_or_else(|| Refusal::message(404, "404 Not Found"))?;
    // Allowed tokens: the job's own, and those of running jobs of the project.
    let is_allowed = state.jobs.values().any(|other| {
        other.token == token
            && (other.id == row.id
                || (other.project == row.project && other.status == Status::Running))
    });
    if !is_allowed {
        return Err(Refusal::message(403, "403 Forbidden"));
    }
    let artifacts = state.artifacts.get(&id).cloned();
    let artifacts = artifacts.ok_or_else(|| Refusal::message(404, "404 Not Found"))?;
    Ok(zip(&artifacts))
}

pub(crate) fn zip(artifacts: &Artifacts) -> Response {
    let mut response = artifacts.data.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let disposition = format!("attachment; filename=\"{}\"", artifacts.file_name);
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert("content-disposition", disposition);
    }
    response
}
