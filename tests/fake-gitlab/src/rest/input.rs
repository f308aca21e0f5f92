//! The body of a write: JSON, or a form as sent by `curl --data`.

use axum::extract::{Form, FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::{Json, RequestExt as _};
use serde::de::DeserializeOwned;

use super::errors::Refusal;

/// A body in either format.
pub(crate) struct Input<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Input<T>
where
    T: DeserializeOwned + 'static,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_json = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/json"));
        if is_json {
            let body = request.extract::<Json<T>, _>().await;
            let Json(input) = body.map_err(|error| Refusal::error(400, &error.body_text()))?;
            return Ok(Self(input));
        }
        let body = request.extract::<Form<T>, _>().await;
        let Form(input) = body.map_err(|error| Refusal::error(400, &error.body_text()))?;
        Ok(Self(input))
    }
}
