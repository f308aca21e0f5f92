//! Where requests go.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::{FakeGitlab, git_http, graphql, rest};

use super::page;

pub(crate) fn router(gitlab: FakeGitlab) -> Router {
    Router::new()
        .route("/", get(page::list))
        .route("/api/graphql", post(graphql::endpoint))
        .nest("/api/v4", rest::router())
        .fallback(git_http::serve)
        .layer(DefaultBodyLimit::disable())
        .with_state(gitlab)
}
