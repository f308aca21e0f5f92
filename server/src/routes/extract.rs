//! Extractors that report rejections as problems.

use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use buildbtw_model::api::ProblemKind;
use serde::de::DeserializeOwned;

use crate::error::{Error, Refusal};

/// Where the hints point to.
const DESCRIBED: &str = "described at /api";
/// What the standard library says of a text that is not a number.
const NOT_A_NUMBER: &str = "invalid digit found in string";
/// The numbers of Rust that requests have, each with its range.
const RUST_NUMBERS: [(&str, &str); 3] = [
    ("i64", "a whole number"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 on"),
];
/// The kinds of Rust types that serde expects by name, each with what it is in JSON.
const RUST_TYPES: [(&str, &str); 4] = [
    ("newtype variant", "an object with one field"),
    ("struct variant", "an object with one field"),
    ("struct", "an object"),
    ("enum", "text or an object with one field"),
];

fn refuse(status: StatusCode, title: &str, detail: &str, hint: String) -> Error {
    let kind = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        status if status.is_server_error() => ProblemKind::Internal,
        _ => ProblemKind::InvalidRequest,
    };
    // The library's sentence says what was tried; the reason follows it.
    let reason = detail
        .strip_prefix("Failed to ")
        .and_then(|rest| rest.split_once(": "));
    let detail = reason.map_or(detail, |(_, reason)| reason);
    let detail = without_rust_types(&detail.replace(NOT_A_NUMBER, "expected a number"));
    Refusal::new(kind, title).detail(detail).hint(hint).into()
}

/// Replaces the name of a Rust type by what it is in JSON.
fn without_rust_types(detail: &str) -> String {
    for (kind, in_json) in RUST_TYPES {
        let expected = format!("expected {kind} ");
        if let Some((before, after)) = detail.split_once(&expected) {
            let is_name = |found: char| found.is_alphanumeric() || found == '_' || found == ':';
            let after = after.trim_start_matches(is_name);
            return format!("{before}expected {in_json}{after}");
        }
    }
    let mut detail = detail.to_owned();
    for (number, in_json) in RUST_NUMBERS {
        detail = detail.replace(
            &format!("expected {number}"),
            &format!("expected {in_json}"),
        );
        detail = detail.replace(&format!("to a `{number}`"), &format!("as {in_json}"));
    }
    detail
}

/// Reads a whole body.
async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<axum::body::Bytes, Error> {
    let read = axum::body::Bytes::from_request(request, state).await;
    read.map_err(|rejection: BytesRejection| unreadable(rejection.status(), &rejection.body_text()))
}

/// Creates the refusal of a body that could not be read.
fn unreadable(status: StatusCode, detail: &str) -> Error {
    let (title, hint) = if status == StatusCode::PAYLOAD_TOO_LARGE {
        ("the request body is too large", "send less at once")
    } else {
        ("the request body is incomplete", "send it again")
    };
    refuse(status, title, detail, hint.to_owned())
}

/// Returns what a JSON text begins with, unless it is an object or no JSON at all.
fn other_than_object(text: &[u8]) -> Option<&'static str> {
    match text.trim_ascii_start().first()? {
        b'[' => Some("an array"),
        b'"' => Some("text"),
        b'-' | b'0'..=b'9' => Some("a number"),
        b't' | b'f' => Some("a truth value"),
        b'n' => Some("null"),
        _ => None,
    }
}

/// A JSON body, which is an object.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let bytes = read(Request::from_parts(parts.clone(), body), state).await?;
        let request = Request::from_parts(parts, Body::from(bytes.clone()));
        let parsed = axum::Json::<T>::from_request(request, state).await;
        if let Err(rejection @ JsonRejection::MissingJsonContentType(_)) = &parsed {
            let hint = "send it with `Content-Type: application/json`".to_owned();
            let (status, detail) = (rejection.status(), rejection.body_text());
            return Err(refuse(
                status,
                "the request body must be JSON",
                &detail,
                hint,
            ));
        }
        let fields = format!("its fields are {DESCRIBED}");
        // Serde takes an array for the fields of a struct, in the order in which they are declared.
        if let Some(found) = other_than_object(&bytes) {
            let title = format!("the request body must be a JSON object, but it is {found}");
            return Err(Refusal::new(ProblemKind::InvalidRequest, title)
                .hint(fields)
                .into());
        }
        parsed
            .map(|axum::Json(value)| Self(value))
            .map_err(|rejection| {
                let detail = rejection.body_text();
                refuse(
                    rejection.status(),
                    "the request body is invalid",
                    &detail,
                    fields,
                )
            })
    }
}

/// No body, or an object without fields, which some programs send with every POST.
pub(crate) struct NoBody;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = read(request, state).await?;
        let fields = || serde_json::from_slice::<serde_json::Map<_, _>>(&bytes);
        if bytes.trim_ascii().is_empty() || fields().is_ok_and(|fields| fields.is_empty()) {
            return Ok(Self);
        }
        let title = "this request has no fields, but its body is not empty";
        Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("send no body, or `{}`")
            .into())
    }
}

/// A raw body.
pub(crate) struct Bytes(pub(crate) axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        read(request, state).await.map(Self)
    }
}

/// Parameters of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let detail = match &rejection {
                    PathRejection::FailedToDeserializePathParams(error) => error.body_text(),
                    rejection => rejection.body_text(),
                };
                let hint = format!("its parameters are {DESCRIBED}");
                let title = "the path is invalid";
                Err(refuse(rejection.status(), title, &detail, hint))
            }
        }
    }
}

/// Parameters of the query.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let detail = match &rejection {
                    QueryRejection::FailedToDeserializeQueryString(error) => error.body_text(),
                    rejection => rejection.body_text(),
                };
                let hint = format!("they are {DESCRIBED}");
                let title = "the query parameters are invalid";
                Err(refuse(rejection.status(), title, &detail, hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn refusals_of_bodies_match_snapshot() {
        let text = testing::refusals([
            (
                "large body",
                unreadable(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "Failed to buffer the request body: length limit exceeded",
                ),
            ),
            (
                "incomplete body",
                unreadable(
                    StatusCode::BAD_REQUEST,
                    "Failed to buffer the request body: error reading a body from connection",
                ),
            ),
        ]);
        insta::assert_snapshot!(text);
    }
}
