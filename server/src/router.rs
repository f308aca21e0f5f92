//! All routes with their layers.

mod api;

use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::error::{Error, problem_response};
use crate::routes::request_span::trace_request;
use crate::routes::streaming::NO_BUFFERING;
use crate::routes::{health, listing, pages, public, repository};
use crate::serve::{Peer, hold_until_sent};
use crate::state::AppState;
use buildbtw_model::api::{Problem, ProblemKind};

pub use api::openapi_document;

/// Smaller responses are not worth compressing.
const MIN_COMPRESSED: u64 = 512;

/// Builds the server's router. It serves requests with and without the path of `--url`, since a proxy may
/// strip or keep it.
pub fn router(state: AppState) -> Router {
    let prefix = state.config.prefix.clone();
    let router = without_prefix(state);
    if prefix.is_empty() {
        return router;
    }
    let service = ServiceBuilder::new()
        .map_request(move |request| remove_prefix(request, &prefix))
        .service(router);
    Router::new().fallback_service(service)
}

/// Builds the router of the address for metrics.
pub fn metrics_router(state: AppState) -> Router {
    health::own_router(state.clone()).layer(from_fn_with_state(state, trace_request))
}

/// Removes the path of `--url` from the path of a request.
fn remove_prefix(mut request: Request, prefix: &str) -> Request {
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix(prefix) else {
        return request;
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return request;
    }
    let path = if rest.is_empty() { "/" } else { rest };
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    let Ok(path) = PathAndQuery::try_from(path) else {
        return request;
    };
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri.clone();
        request.extensions_mut().insert(OriginalUri(uri));
    }
    request
}

fn without_prefix(state: AppState) -> Router {
    let layers = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(|_| {
            let error = anyhow::anyhow!("a request handler panicked");
            problem_response(Error::Internal(error).into_problem())
        }))
        .layer(RequestBodyTimeoutLayer::new(BODY_TIMEOUT))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .map_response(tag_as_compressed)
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(SizeAbove::new(MIN_COMPRESSED).and(is_compressible)),
        );
    Router::new()
        .merge(api::router(&state))
        .nest("/repo", repository_router(&state))
        .merge(listing::router(&state))
        .merge(pages::router(&state))
        .merge(health::router(&state))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
        .layer(from_fn_with_state(state.clone(), trace_request))
        .with_state(state)
}

fn repository_router(state: &AppState) -> Router<AppState> {
    Router::new()
        .route(
            "/{name}/{iteration}/{architecture}/{file}",
            get(repository::serve_file),
        )
        .route(
            "/{name}/{iteration}/{architecture}/builds/{build}/{file}",
            get(repository::serve_build_view),
        )
        .route_layer(from_fn_with_state(state.clone(), public::limit_repository))
        .route_layer(from_fn_with_state(state.clone(), count_files))
}

/// Counts files that are open while they are sent.
async fn count_files(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(Peer(peer)) = request.extensions().get::<Peer>() else {
        return Ok(next.run(request).await);
    };
    let permit = state.admission.file(peer.ip())?;
    let response = next.run(request).await;
    Ok(response.map(|body| hold_until_sent(body, permit)))
}

/// Returns whether a response is text with a known length. Packages are compressed already, and streams must not
/// wait for more data.
fn is_compressible(
    _: StatusCode,
    _: axum::http::Version,
    headers: &axum::http::HeaderMap,
    _: &axum::http::Extensions,
) -> bool {
    if headers.contains_key(NO_BUFFERING) {
        return false;
    }
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    media_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        match essence {
            "text/event-stream" => false,
            "application/json" | "application/problem+json" | "image/svg+xml" => true,
            essence => essence.starts_with("text/"),
        }
    })
}

/// Weakens the tag of a compressed response, since its bytes differ, and sets `Vary` on a response without
/// a body as on the full one.
fn tag_as_compressed<B>(mut response: Response<B>) -> Response<B> {
    let status = response.status();
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get(header::ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(header::ETAG, weak);
    }
    if status == StatusCode::NOT_MODIFIED && !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

async fn not_found(State(state): State<AppState>, OriginalUri(uri): OriginalUri) -> Response {
    let mut problem = Error::not_found(format!("`{}`", uri.path())).into_problem();
    problem.hint = is_below(&uri, "/api").then(|| "all paths are described at /api".to_owned());
    problem_or_page(&state, &uri, problem)
}

async fn method_not_allowed(
    State(state): State<AppState>,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> Response {
    let title = format!("method {method} is not allowed on {}", uri.path());
    let mut problem = Error::refused(ProblemKind::InvalidRequest, title).into_problem();
    problem.status = 405;
    problem.hint = Some(match is_below(&uri, "/api") {
        true => "the methods of each path are described at /api".to_owned(),
        false => "send GET or HEAD".to_owned(),
    });
    problem_or_page(&state, &uri, problem)
}

fn is_below(uri: &Uri, prefix: &str) -> bool {
    let rest = uri.path().strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns a problem as JSON to programs and as a page to people.
fn problem_or_page(state: &AppState, uri: &Uri, problem: Problem) -> Response {
    if is_below(uri, "/api") || is_below(uri, "/repo") {
        problem_response(problem)
    } else {
        pages::error_response(&pages::links(state), problem)
    }
}

/// Maximum time without data from a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
