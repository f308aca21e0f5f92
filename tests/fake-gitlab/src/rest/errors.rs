//! Error responses of the REST API, and its authentication.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::FakeGitlab;
use crate::auth::{Caller, MaybeCaller, Refused};

/// An error response: status and body, and for a moved project its new location.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    body: Value,
    location: Option<String>,
}

impl Refusal {
    pub(crate) fn message(status: u16, text: &str) -> Self {
        Self::body(status, json!({ "message": text }))
    }

    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::body(status, json!({ "error": text }))
    }

    pub(crate) fn body(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            location: None,
        }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::message(404, &format!("404 {what} Not Found"))
    }

    pub(crate) fn moved(location: String) -> Self {
        Self {
            location: Some(location),
            ..Self::message(301, "This resource has been moved permanently")
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let mut response = (status, Json(self.body)).into_response();
        if let Some(location) = self.location.and_then(|at| HeaderValue::try_from(at).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        tracing::warn!(error = format!("{error:#}"), "a request failed");
        Self::message(500, "500 Internal Server Error")
    }
}

/// Authenticates a caller that may read.
pub(crate) fn reader(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<MaybeCaller, Refusal> {
    let who = known(gitlab, headers)?;
    if let Some(caller) = &who {
        scope(caller, &["read_api", "api"])?;
    }
    Ok(who)
}

/// Authenticates a caller that may write.
pub(crate) fn writer(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let caller = authenticate(gitlab, headers)?;
    scope(&caller, &["api"])?;
    Ok(caller)
}

/// Authenticates a caller with any token.
pub(crate) fn authenticate(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<Caller, Refusal> {
    known(gitlab, headers)?.ok_or_else(|| Refusal::message(401, "401 Unauthorized"))
}

/// Returns the error for a token without one of these scopes.
pub(crate) fn insufficient_scope(wanted: &[&str]) -> Value {
    json!({
        "error": "insufficient_scope",
        "error_description":
            "The request requires higher privileges than provided by the access token.",
        "scope": wanted.join(" "),
    })
}

pub(crate) fn scope(caller: &Caller, wanted: &[&str]) -> Result<(), Refusal> {
    if caller.token.has_any(wanted) {
        return Ok(());
    }
    Err(Refusal::body(403, insufficient_scope(wanted)))
}

fn known(gitlab: &FakeGitlab, headers: &HeaderMap) -> Result<MaybeCaller, Refusal> {
    let invalid = |text: &str| {
        Refusal::body(
            401,
            json!({ "error": "invalid_token", "error_description": text }),
        )
    };
    gitlab.caller(headers).map_err(|refused| match refused {
        Refused::Unknown => Refusal::message(401, "401 Unauthorized"),
        Refused::Revoked => invalid("Token was revoked. You have to re-authorize from the user."),
        Refused::Expired => {
            invalid("Token is expired. You can either do re-authorization or token refresh.")
        }
    })
}
