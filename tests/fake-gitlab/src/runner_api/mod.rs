//! The API for runners.

pub(crate) mod artifacts;
mod auth;
mod request;
mod runners;
mod trace;
mod update;

use axum::Router;
use axum::routing::{delete, get, patch, post, put};

use crate::FakeGitlab;

pub(crate) fn router() -> Router<FakeGitlab> {
    Router::new()
        .route(
            "/runners",
            post(runners::register).delete(runners::unregister),
        )
        .route("/runners/verify", post(runners::verify))
        .route("/runners/managers", delete(runners::unregister_manager))
        .route(
            "/runners/reset_authentication_token",
            post(runners::reset_token),
        )
        .route("/runners/router/discovery", get(runners::discover))
        .route("/jobs/request", post(request::request))
        .route("/jobs/{id}", put(update::update))
        .route("/jobs/{id}/trace", patch(trace::append))
        .route(
            "/jobs/{id}/artifacts",
            post(artifacts::upload).get(artifacts::download),
        )
}
