//! Extractors that report rejections as problems.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
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
    let detail = detail.replace(NOT_A_NUMBER, "expected a number");
    Refusal::new(kind, title).detail(detail).hint(hint).into()
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => {
                let fields = || format!("its fields are {DESCRIBED}");
                let (title, hint) = match &rejection {
                    _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                        ("the request body is too large", fields())
                    }
                    JsonRejection::MissingJsonContentType(_) => (
                        "the request body must be JSON",
                        "send it with `Content-Type: application/json`".to_owned(),
                    ),
                    _ => ("the request body is invalid", fields()),
                };
                let detail = rejection.body_text();
                Err(refuse(rejection.status(), title, &detail, hint))
            }
        }
    }
}

/// A raw body.
pub(crate) struct Bytes(pub(crate) axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match axum::body::Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) => {
                let (title, hint) = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    ("the request body is too large", "send less at once")
                } else {
                    ("the request body is incomplete", "send it again")
                };
                let detail = rejection.body_text();
                Err(refuse(rejection.status(), title, &detail, hint.to_owned()))
            }
        }
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
