//! `/metrics`, `/healthz` and `/readyz`: what monitoring, load balancers and service managers ask for.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use buildbtw_model::api::ReadyResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::read::metrics::metrics_text;
use crate::service::read::readiness::readiness;
use crate::state::AppState;

/// Returns the routes of the address for metrics.
pub(crate) fn own_router(state: AppState) -> Router {
    Router::from(described()).with_state(state)
}

/// Returns the routes for the server's address: with `/metrics`, unless that has an address of its own.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    Router::from(match state.config.metrics_listen {
        Some(_) => health(),
        None => described(),
    })
}

/// Returns all routes, as the description of the API has them.
pub(crate) fn described() -> OpenApiRouter<AppState> {
    health().routes(routes!(show_metrics))
}

fn health() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show_health))
        .routes(routes!(show_readiness))
}

/// Returns the metrics of the server as OpenMetrics text.
///
/// With `--metrics-listen`, only that address has them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    responses((status = 200, description = "The metrics", content_type =
        "application/openmetrics-text; version=1.0.0; charset=utf-8", body = String,
        example = "# HELP buildbtw_ready Whether the server is ready\n# TYPE buildbtw_ready gauge\nbuildbtw_ready 1\n# EOF\n"))
)]
async fn show_metrics(State(state): State<AppState>) -> Response {
    buildbtw_metrics::page(metrics_text(state.monitoring_parts()).await)
}

/// Shows that the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = 200, description = "It answers", content_type = "text/plain; charset=utf-8", body = String,
        example = "ok\n"))
)]
async fn show_health() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, "ok\n").into_response()
}

/// Shows whether the server can do its work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "It can", body = ReadyResponse),
        (status = 503, description = "It cannot; the checks say why", body = ReadyResponse),
    )
)]
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
