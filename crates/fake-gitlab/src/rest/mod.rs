//! The REST API, version 4, as far as it is used.

mod answer;
mod hooks;
mod input;
mod pages;
mod projects;
mod repository;
mod tokens;

use axum::Router;
use axum::routing::{any, delete, get, post};

use crate::FakeGitlab;

use answer::Refusal;
pub(crate) use answer::insufficient_scope;

pub(crate) fn router() -> Router<FakeGitlab> {
    Router::new()
        .route("/version", get(tokens::version))
        .route("/personal_access_tokens/self", get(tokens::own))
        .route("/user", get(tokens::user))
        .route("/groups", post(projects::create_group))
        .route("/projects", post(projects::create))
        .route("/projects/{id}", get(projects::read))
        .route(
            "/projects/{id}/repository/commits",
            get(repository::commits),
        )
        .route(
            "/projects/{id}/repository/branches/{name}",
            get(repository::branch),
        )
        .route(
            "/projects/{id}/repository/files/{path}/raw",
            get(repository::raw_file),
        )
        .route("/hooks", get(hooks::list_system).post(hooks::create_system))
        .route("/hooks/{hook}", delete(hooks::delete_system))
        .route(
            "/groups/{id}/hooks",
            get(hooks::list_group).post(hooks::create_group),
        )
        .route("/groups/{id}/hooks/{hook}", delete(hooks::delete_owned))
        .route(
            "/projects/{id}/hooks",
            get(hooks::list_project).post(hooks::create_project),
        )
        .route("/projects/{id}/hooks/{hook}", delete(hooks::delete_owned))
        .fallback(any(|| async { Refusal::error(404, "404 Not Found") }))
}
