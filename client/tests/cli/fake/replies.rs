//! What many routes of the fake server reply.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use buildbtw_model::api::{Problem, ProblemKind};

use super::TOKEN;

pub(super) type ApiResult<T> = Result<Json<T>, Response>;

pub(crate) fn problem(status: u16, kind: ProblemKind, title: &str) -> Response {
    let problem = Problem {
        kind,
        title: title.into(),
        status,
        detail: None,
        hint: (kind == ProblemKind::NotFound).then(|| "choose one of the others".to_owned()),
        trace_id: None,
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(problem)).into_response()
}

pub(super) fn authenticated(headers: &HeaderMap) -> Result<(), Response> {
    let sent = headers.get("authorization").map(|value| value.as_bytes());
    if sent == Some(format!("Bearer {TOKEN}").as_bytes()) {
        return Ok(());
    }
    Err(problem(
        401,
        ProblemKind::Unauthenticated,
        "a token is needed",
    ))
}

pub(super) fn known(name: &str) -> Result<(), Response> {
    match name {
        "space" => Ok(()),
        _ => {
            let title = format!("namespace `{name}` not found");
            Err(problem(404, ProblemKind::NotFound, &title))
        }
    }
}
