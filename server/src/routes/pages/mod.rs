//! The web UI. Every page works without JavaScript and asks nobody else for anything.

mod assets;
mod build;
mod error;
mod home;
mod namespace;
mod sources;

use askama::Template;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app_state::AppState;
use crate::error::Error;
use crate::routes::public;
use crate::views::links::Links;
pub(super) use error::PageError;
pub(crate) use error::error_response;

/// Even if some text of a build were not escaped, it could load, run and send nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'self'";

/// The routes of all pages and of what they load.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/", get(home::show_home))
        .route("/namespaces/{name}", get(namespace::show_namespace))
        .route(
            "/namespaces/{name}/iterations/{number}",
            get(namespace::show_iteration),
        )
        .route("/builds/{id}", get(build::show_build))
        .route("/sources", get(sources::list_sources))
        .route_layer(from_fn_with_state(state.clone(), public::page_in_turn))
        .route("/assets/{hash}/{file}", get(assets::serve_asset))
        .layer(CatchPanicLayer::custom(|_| {
            let error = anyhow::anyhow!("a page handler panicked");
            PageError::from(Error::Internal(error)).into_response()
        }))
        .layer(from_fn_with_state(state.clone(), error::show_errors))
}

/// The addresses that pages link to.
pub(crate) fn links(state: &AppState) -> Links {
    Links::below(&state.config.prefix)
}

/// What a handler of a page answers with.
type PageResult = Result<Response, PageError>;

/// Renders a page that is there.
fn page(view: &impl Template) -> PageResult {
    Ok(html_response(StatusCode::OK, view.render()?))
}

/// Answers with HTML, under the rules for all pages.
pub(crate) fn html_response(status: StatusCode, html: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, html).into_response()
}
