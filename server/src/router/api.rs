//! The routes of `/api/v1`, and the OpenAPI document made from them.

use std::sync::{Arc, LazyLock};

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Extension, Router};
use buildbtw_model::TokenScope;
use buildbtw_telemetry::spawn_named;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::auth;
use crate::error::Error;
use crate::request_trace;
use crate::routes::openapi::{self, Access, Document};
use crate::routes::{api, api_version, conditional, health, public};
use crate::state::AppState;

/// Maximum size of a JSON body.
const MAX_JSON: usize = 1024 * 1024;
/// Maximum size of a PKGBUILD, as in builders.
const MAX_PKGBUILD: usize = 4 * 1024 * 1024;
/// Maximum size of a log chunk.
const MAX_LOG_CHUNK: usize = 1024 * 1024;

type Routes = OpenApiRouter<AppState>;

/// The OpenAPI document of the API.
static DOCUMENT: LazyLock<Arc<Document>> = LazyLock::new(|| Arc::new(document()));

/// Returns the OpenAPI document of the API, as `/api/v1/openapi.json` has it.
#[must_use]
pub fn openapi_document() -> &'static str {
    DOCUMENT.text()
}

/// Returns the API below `/api/v1`, and the page that shows its description below `/api`.
pub(super) fn router(state: &AppState) -> Router<AppState> {
    let api = Router::new()
        .merge(reading(state))
        .merge(requests(state))
        .merge(builders(state))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .layer(from_fn(api_version::negotiate));
    Router::new()
        .nest("/api/v1", api)
        .merge(page(state))
        .layer(Extension(DOCUMENT.clone()))
}

fn reading(state: &AppState) -> Router<AppState> {
    let limited = from_fn_with_state(state.clone(), public::limit_public);
    operations(public_routes())
        .route_layer(from_fn(conditional::tag_json))
        .route_layer(limited)
}

/// Returns the routes of described operations.
fn operations(routes: Routes) -> Router<AppState> {
    Router::from(routes).route_layer(from_fn(openapi::refuse_unknown))
}

fn page(state: &AppState) -> Router<AppState> {
    let limited = from_fn_with_state(state.clone(), public::limit_public);
    openapi::page_router().route_layer(limited)
}

/// Returns the requests of clients and administrators.
fn requests(state: &AppState) -> Router<AppState> {
    // A POST that changes nothing: its parameters are a document. Requests without a token have limits.
    let plans = operations(plan_routes())
        .route_layer(from_fn_with_state(
            state.clone(),
            public::use_public_connections,
        ))
        .route_layer(from_fn_with_state(state.clone(), auth::optional));
    let any_token = operations(token_routes())
        .route_layer(from_fn(conditional::tag_json))
        .route_layer(from_fn_with_state(state.clone(), auth::any_token));
    let client = operations(client_routes())
        .route_layer(from_fn(run_to_completion))
        .route_layer(from_fn(conditional::tag_json))
        .route_layer(from_fn_with_state(state.clone(), auth::client));
    let admin = operations(admin_routes())
        .route_layer(from_fn(run_to_completion))
        .route_layer(from_fn(conditional::tag_json))
        .route_layer(from_fn_with_state(state.clone(), auth::admin));
    // The handler authenticates them: the signature covers the body. Their address is written by people, who may add
    // a parameter, and GitLab disables webhooks that fail.
    let webhooks = Router::from(webhook_routes()).route_layer(from_fn(run_to_completion));
    Router::new()
        .merge(plans)
        .merge(any_token)
        .merge(client)
        .merge(admin)
        .merge(webhooks)
}

/// Returns the requests of workers and of jobs in GitLab.
fn builders(state: &AppState) -> Router<AppState> {
    // Claims and uploads end with their connection: a claim without a client gets no build, and a partial
    // upload is discarded.
    let claims =
        operations(claim_routes()).route_layer(from_fn_with_state(state.clone(), auth::worker));
    let attempts = operations(attempt_routes())
        .route_layer(from_fn(run_to_completion))
        .merge(operations(upload_routes()))
        .route_layer(from_fn_with_state(state.clone(), auth::attempt));
    // Authenticated by the ID token in the body.
    let jobs = operations(job_routes()).route_layer(from_fn(run_to_completion));
    Router::new().merge(claims).merge(attempts).merge(jobs)
}

fn public_routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(api::namespaces::list_namespaces))
        .routes(routes!(api::namespaces::show_namespace))
        .routes(routes!(api::iterations::list_iterations))
        .routes(routes!(api::iterations::show_iteration))
        .routes(routes!(api::iterations::list_builds))
        .routes(routes!(api::events::stream_all_events))
        .routes(routes!(api::events::stream_events))
        .routes(routes!(api::builds::show_build))
        .routes(routes!(api::logs::read_log))
        .routes(routes!(api::logs::read_pkgbuild))
        .routes(routes!(api::inputs::show_inputs))
        .routes(routes!(api::activity::list_activity))
        .routes(routes!(api::workers::list_workers))
        .routes(routes!(api::sources::list_sources))
        .routes(routes!(api::sources::show_overview))
        .routes(routes!(openapi::serve_document))
}

fn plan_routes() -> Routes {
    OpenApiRouter::new().routes(routes!(api::namespaces::preview_plan))
}

fn token_routes() -> Routes {
    OpenApiRouter::new().routes(routes!(api::tokens::show_identity))
}

fn client_routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(api::namespaces::create_namespace))
        .routes(routes!(api::iterations::create_iteration))
        .routes(routes!(api::control::delete_namespace))
        .routes(routes!(api::control::cancel))
        .routes(routes!(api::control::resume))
        .routes(routes!(api::control::retry))
        .routes(routes!(api::control::prioritize))
        .routes(routes!(api::control::edit_namespace))
        .routes(routes!(api::outages::list_outages))
        .routes(routes!(api::sources::list_refs))
}

fn claim_routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(api::attempts::claim_build))
        .routes(routes!(api::attempts::adopt_attempt))
}

fn upload_routes() -> Routes {
    let upload: UtoipaMethodRouter<AppState> = routes!(api::attempts::upload_package);
    // The handler enforces the configured limit while it streams.
    OpenApiRouter::new().routes(upload.layer(DefaultBodyLimit::disable()))
}

fn attempt_routes() -> Routes {
    let log: UtoipaMethodRouter<AppState> = routes!(api::attempts::append_log);
    let pkgbuild: UtoipaMethodRouter<AppState> = routes!(api::attempts::keep_pkgbuild);
    OpenApiRouter::new()
        .routes(routes!(api::attempts::renew_lease))
        .routes(log.layer(DefaultBodyLimit::max(MAX_LOG_CHUNK)))
        .routes(pkgbuild.layer(DefaultBodyLimit::max(MAX_PKGBUILD)))
        .routes(routes!(api::attempts::report_outcome))
}

fn job_routes() -> Routes {
    OpenApiRouter::new().routes(routes!(api::attempts::exchange_id_token))
}

fn admin_routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(api::tokens::list_tokens, api::tokens::create_token))
        .routes(routes!(api::tokens::revoke_token))
        .routes(routes!(api::workers::drain_worker))
        .routes(routes!(api::workers::resume_worker))
}

fn webhook_routes() -> Routes {
    OpenApiRouter::new().routes(routes!(api::webhooks::receive_from_gitlab))
}

/// Describes all routes, each group with the tokens that its layer admits.
fn document() -> Document {
    use TokenScope::{Attempt, Client, Worker};
    let groups: [(Routes, Access); 11] = [
        (public_routes(), Access::Public),
        (plan_routes(), Access::PublicOr(Client)),
        (token_routes(), Access::AnyToken),
        (client_routes(), Access::Token(&[Client])),
        (admin_routes(), Access::Token(&[])),
        (webhook_routes(), Access::Signature),
        (claim_routes(), Access::Token(&[Worker])),
        (upload_routes(), Access::Token(&[Worker, Attempt])),
        (attempt_routes(), Access::Token(&[Worker, Attempt])),
        (job_routes(), Access::IdToken),
        (health::described(), Access::Monitoring),
    ];
    let groups = groups.map(|(routes, access)| (routes.into_openapi(), access));
    Document::new(groups)
}

/// Runs a handler to its end even if the client disconnects, so that nothing is lost between a commit and
/// its notifications.
async fn run_to_completion(request: Request, next: Next) -> Result<Response, Error> {
    // With the trace of the request, for the task's log lines and errors.
    Ok(spawn_named("request", request_trace::carried(next.run(request))).await?)
}
