//! `/attempts/{id}/log` and `/attempts/{id}/pkgbuild`: a log, with ranges or followed while it grows, and
//! the PKGBUILD as built.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::AttemptId;
use serde::Deserialize;

use crate::error::Error;
use crate::routes::conditional::{self, RequestedRange};
use crate::routes::extract;
use crate::routes::streaming::{NO_BUFFERING, stream_permit};
use crate::serve::{Peer, hold_until_sent};
use crate::service::read::logs::{self, OpenLog};
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn read_log(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Query(query): extract::Query<LogQuery>,
    peer: Option<Extension<Peer>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (database, logs, shutdown) = (&state.database, &state.logs, &state.shutdown);
    let log = logs::open_log(database, logs, shutdown, id, query.offset).await?;
    let mut response = if query.follow && !log.is_final {
        let permit = stream_permit(&state, peer)?;
        live(log).map(|body| hold_until_sent(body, permit))
    } else {
        respond(log, &method, &headers)?
    };
    // Hostile builds write logs: a browser must never render one as a page.
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}

/// Returns the PKGBUILD of an attempt.
pub(crate) async fn read_pkgbuild(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<AttemptId>,
) -> Result<Response, Error> {
    let text = logs::read_pkgbuild(&state.logs, id).await?;
    // As hostile as logs.
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, text).into_response())
}

/// Returns a response that follows a growing log.
fn live(log: OpenLog) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Each line counts: neither a proxy nor compression may buffer.
        (NO_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(log.follow())).into_response()
}

/// Returns the tag of a log. A growing log has none, since each line changes it.
fn tag(log: &OpenLog) -> Result<Option<HeaderValue>, Error> {
    if !log.is_final {
        return Ok(None);
    }
    let tag = format!("\"{}-{}-{}\"", log.attempt, log.start, log.length);
    let tag = HeaderValue::from_str(&tag).map_err(anyhow::Error::from)?;
    Ok(Some(tag))
}

/// Returns the current content of a log.
fn respond(log: OpenLog, method: &Method, request: &HeaderMap) -> Result<Response, Error> {
    let tag = tag(&log)?;
    let mut headers = HeaderMap::new();
    let caching = if log.is_final { "no-cache" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(tag) = &tag {
        headers.insert(header::ETAG, tag.clone());
        if conditional::has_tag(request, tag) {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
    }
    let requested = conditional::requested_range(method, request, log.length, tag.as_ref());
    let (status, from, to) = select(log.length, requested, &mut headers)?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    Ok((status, headers, Body::from_stream(log.part(from, to))).into_response())
}

/// Returns the status and the bounds of the requested bytes, and sets their header.
fn select(
    length: u64,
    requested: RequestedRange,
    headers: &mut HeaderMap,
) -> Result<(StatusCode, u64, u64), Error> {
    let (selected, range) = match requested {
        RequestedRange::Whole => return Ok((StatusCode::OK, 0, length)),
        RequestedRange::Part(from, to) => (
            (StatusCode::PARTIAL_CONTENT, from, to),
            format!("bytes {from}-{}/{length}", to - 1),
        ),
        RequestedRange::Unsatisfiable => (
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
            format!("bytes */{length}"),
        ),
    };
    let range = HeaderValue::from_str(&range).map_err(anyhow::Error::from)?;
    headers.insert(header::CONTENT_RANGE, range);
    Ok(selected)
}
