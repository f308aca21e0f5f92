//! Tells programs that are too old or too new for this server so, in one sentence.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{API_VERSION_HEADER, ApiVersions};

use crate::error::{Error, Refusal};

/// Refuses requests of programs without a version of the API in common, and says in every response which versions this
/// server has.
pub(crate) async fn negotiate(request: Request, next: Next) -> Response {
    let server = ApiVersions::OF_SERVER;
    let refused = match client(&request) {
        Ok(client) if client.is_compatible(server) => None,
        Ok(client) => Some(incompatible(client, server)),
        Err(error) => Some(error),
    };
    let mut response = match refused {
        None => next.run(request).await,
        Some(error) => error.into_response(),
    };
    if let Ok(versions) = HeaderValue::from_str(&server.to_string()) {
        response.headers_mut().insert(API_VERSION_HEADER, versions);
    }
    response
}

/// Returns the versions of the program that sends a request.
fn client(request: &Request) -> Result<ApiVersions, Error> {
    let Some(header) = request.headers().get(API_VERSION_HEADER) else {
        return Ok(ApiVersions::BEFORE_NEGOTIATION);
    };
    let versions = header
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    versions.ok_or_else(|| {
        let title = format!("the header `{API_VERSION_HEADER}` is invalid");
        Refusal::new(ProblemKind::InvalidRequest, title)
            .hint("expected a version such as `2`, or a range such as `1-2`; leave it out for version 1")
            .into()
    })
}

fn incompatible(client: ApiVersions, server: ApiVersions) -> Error {
    let title = ApiVersions::mismatch(client, server);
    Refusal::new(ProblemKind::UnsupportedVersion, title)
        .hint(ApiVersions::remedy(client, server))
        .into()
}
