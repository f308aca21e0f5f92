//! The web UI. Pages work without JavaScript and load nothing from other servers.

mod assets;
mod build;
mod error;
mod home;
mod namespace;
mod response;
mod sources;
mod workers;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::Error;
use crate::routes::public;
use crate::state::AppState;
use error::PageError;
pub(crate) use error::error_response;
pub(crate) use response::{CONTENT_SECURITY_POLICY, html_response, links};

/// Limits requests as [`public::limit_public`] does, with errors as pages.
async fn limit_public(
    state: State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, PageError> {
    Ok(public::limit_public(state, request, next).await?)
}

/// Returns the routes of all pages and assets.
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
        .route("/workers", get(workers::show_workers))
        .route_layer(from_fn_with_state(state.clone(), limit_public))
        .route("/assets/{hash}/{file}", get(assets::serve_asset))
        .layer(CatchPanicLayer::custom(|_| {
            let error = anyhow::anyhow!("a page handler panicked");
            PageError::from(Error::Internal(error)).into_response()
        }))
        .layer(from_fn_with_state(state.clone(), error::show_errors))
}
