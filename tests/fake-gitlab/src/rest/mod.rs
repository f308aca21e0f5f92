//! The REST API, version 4, as far as buildbtw uses it.

mod entries;
mod errors;
mod group_members;
mod group_projects;
mod group_runners;
mod hooks;
mod input;
mod jobs;
mod merge_requests;
mod notes;
mod pages;
mod pipelines;
mod projects;
mod repository;
mod settings;
mod statuses;
mod tokens;

use axum::Router;
use axum::routing::{any, delete, get, post, put};

use crate::{FakeGitlab, runner_api};

pub(crate) use errors::{Refusal, insufficient_scope};
pub(crate) use input::Input;

pub(crate) fn router() -> Router<FakeGitlab> {
    Router::new()
        .route("/version", get(tokens::version))
        .route("/personal_access_tokens/self", get(tokens::own))
        .route("/user", get(tokens::user))
        .route("/groups", post(projects::create_group))
        .route("/projects", post(projects::create))
        .route("/projects/{id}", get(projects::read).put(settings::update))
        .route("/groups/{id}/projects", get(group_projects::list))
        .merge(ci())
        .merge(runner_api::router())
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
        .route("/groups/{id}/hooks/{hook}/events", get(hooks::list_events))
        .route("/groups/{id}/runners", get(group_runners::list))
        .route("/groups/{id}/members/all/{user}", get(group_members::read))
        .route(
            "/projects/{id}/hooks",
            get(hooks::list_project).post(hooks::create_project),
        )
        .route("/projects/{id}/hooks/{hook}", delete(hooks::delete_owned))
        .route(
            "/projects/{id}/hooks/{hook}/events",
            get(hooks::list_events),
        )
        .fallback(any(|| async { Refusal::error(404, "404 Not Found") }))
}

/// Routes of pipelines, jobs and commit statuses.
fn ci() -> Router<FakeGitlab> {
    Router::new()
        .route("/job", get(jobs::own))
        .route("/projects/{id}/pipeline", post(pipelines::create))
        .route("/projects/{id}/pipelines", get(pipelines::list))
        .route("/projects/{id}/pipelines/latest", get(pipelines::latest))
        .route(
            "/projects/{id}/pipelines/{pipeline}",
            get(pipelines::read).delete(pipelines::remove),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline}/variables",
            get(pipelines::variables),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline}/jobs",
            get(jobs::of_pipeline),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline}/cancel",
            post(pipelines::cancel),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline}/retry",
            post(pipelines::retry),
        )
        .route(
            "/projects/{id}/pipelines/{pipeline}/metadata",
            put(pipelines::rename),
        )
        .route("/projects/{id}/jobs/{job}", get(jobs::read))
        .route("/projects/{id}/jobs/{job}/trace", get(jobs::trace))
        .route("/projects/{id}/jobs/{job}/artifacts", get(jobs::artifacts))
        .route("/projects/{id}/jobs/{job}/cancel", post(jobs::cancel))
        .route("/projects/{id}/jobs/{job}/retry", post(jobs::retry))
        .route("/projects/{id}/jobs/{job}/play", post(jobs::play))
        .route("/projects/{id}/statuses/{sha}", post(statuses::create))
        .route(
            "/projects/{id}/repository/commits/{sha}/statuses",
            get(statuses::list),
        )
        .route("/projects/{id}/merge_requests", get(merge_requests::list))
        .route(
            "/projects/{id}/merge_requests/{iid}/notes",
            get(notes::list).post(notes::create),
        )
        .route(
            "/projects/{id}/merge_requests/{iid}/notes/{note}",
            put(notes::update),
        )
        .route("/projects/{id}/protected_branches", post(settings::protect))
        .route(
            "/projects/{id}/protected_branches/{name}",
            delete(settings::unprotect),
        )
}
