//! The OpenAPI document, `/api/v1/openapi.json`, and `/api/`, the page that shows it.

mod document;
mod examples;
mod images;
mod page;
mod parameters;
mod shared;

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

pub(crate) use document::{Access, Document};
pub(crate) use page::page_router;
pub(crate) use parameters::refuse_unknown;

/// Returns this description of the API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    responses((status = 200, description = "The OpenAPI document", body = inline(serde_json::Value)))
)]
pub(crate) async fn serve_document(Extension(document): Extension<Arc<Document>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, document.text().to_owned()).into_response()
}
