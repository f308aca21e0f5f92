//! Error responses.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use buildbtw_model::api::{Problem, ProblemKind};

pub(crate) fn problem(status: u16, kind: ProblemKind) -> Response {
    let problem = Problem {
        kind,
        title: format!("{kind:?}"),
        status,
        detail: None,
        hint: None,
        trace_id: None,
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(problem)).into_response()
}
