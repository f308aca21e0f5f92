//! `/metrics`, `/healthz` and `/readyz`: what monitoring, load balancers and service managers ask for.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::service::read::metrics::metrics_text;
use crate::service::read::readiness::readiness;
use crate::state::AppState;

/// Returns the routes of the address for metrics.
pub(crate) fn own_router(state: AppState) -> Router {
    Router::new()
        .merge(health())
        .route("/metrics", get(show_metrics))
        .with_state(state)
}

/// Returns the routes for the server's address: with `/metrics`, unless that has an address of its own.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let router = health();
    if state.config.metrics_listen.is_some() {
        return router;
    }
    router.route("/metrics", get(show_metrics))
}

fn health() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(show_health))
        .route("/readyz", get(show_readiness))
}

async fn show_metrics(State(state): State<AppState>) -> Response {
    buildbtw_metrics::page(metrics_text(state.monitoring_parts()).await)
}

/// Shows that the process answers.
async fn show_health() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, "ok\n").into_response()
}

/// Shows whether the server can do its work: 200, or 503 with the reason.
async fn show_readiness(State(state): State<AppState>) -> Response {
    let response = readiness(state.monitoring_parts()).await;
    let status = if response.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (status, headers, Json(response)).into_response()
}
