//! The routes.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::response::Response;
use axum::routing::post;

use crate::{FakeGitlab, git_http, graphql, oidc, rest, web};

pub(crate) fn router(gitlab: FakeGitlab) -> Router {
    Router::new()
        .route("/api/graphql", post(graphql::endpoint))
        .nest("/api/v4", rest::router())
        .merge(oidc::router())
        .fallback(page_or_repository)
        .layer(DefaultBodyLimit::disable())
        .with_state(gitlab)
}

/// Groups can be nested arbitrarily deep, so only the end of a path tells pages and repositories apart.
async fn page_or_repository(State(gitlab): State<FakeGitlab>, request: Request) -> Response {
    if request.method() == Method::GET
        && let Some(page) = web::page(&gitlab, request.uri().path())
    {
        return page;
    }
    git_http::serve(State(gitlab), request).await
}
