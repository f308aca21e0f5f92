//! `/attempts/{id}/log` and `/attempts/{id}/pkgbuild`: a log, with ranges or followed while it grows, and
//! the PKGBUILD as built.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::AttemptId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::log_events;
use crate::error::Error;
use crate::routes::conditional::{self, RequestedRange};
use crate::routes::extract;
use crate::routes::streaming::{LastEventId, NO_BUFFERING, stream_permit};
use crate::serve::{Peer, hold_until_sent};
use crate::service::read::logs::{self, OpenLog};
use crate::state::AppState;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// The number of bytes to skip
    #[serde(default)]
    #[param(example = 4096)]
    offset: u64,
    /// Whether to wait for more until the attempt has ended
    #[serde(default)]
    follow: bool,
}

/// Returns the log of an attempt.
///
/// With `follow` the response grows with the log and ends with the attempt. With `Accept: text/event-stream` it is a
/// stream of events then: `data` is a JSON text of whole lines, and `id` the offset after them, to continue at with
/// `Last-Event-ID`; the last event is `end`. Otherwise ranges and, once the attempt has ended, tags work.
#[utoipa::path(
    get,
    path = "/attempts/{id}/log",
    tag = "streams",
    params(
        ("id" = AttemptId, Path, description = "The attempt"),
        LogQuery,
        LastEventId,
        ("Range" = Option<String>, Header, description = "One range of bytes, from the offset on", example = "bytes=-4096"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the log that the client has", example = "\"0-4096\""),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that `Range` applies to", example = "\"0-4096\""),
    ),
    responses(
        (status = 200, description = "The log, or what was written after the offset", content(
            (String = "text/plain; charset=utf-8", example = "==> Making package: libgreet 1.0-1\n"),
            (String = "text/event-stream", example = "id: 35\ndata: \"==> Making package: libgreet 1.0-1\\n\"\n\n"),
        ), headers(
            ("ETag" = String, description = "Identifies the log of an attempt that has ended"),
            ("Accept-Ranges" = String, description = "`bytes`"),
        )),
        (status = 206, description = "The bytes of `Range`", body = String, content_type = "text/plain; charset=utf-8",
            headers(("Content-Range" = String, description = "Which bytes of how many"))),
        (status = 304, description = "The client has the current log"),
        (status = 416, description = "The log is shorter than `Range`", body = String,
            content_type = "text/plain; charset=utf-8",
            headers(("Content-Range" = String, description = "The length"))),
    )
)]
pub(crate) async fn read_log(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<AttemptId>,
    extract::Query(query): extract::Query<LogQuery>,
    peer: Option<Extension<Peer>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (database, logs, shutdown) = (&state.database, &state.logs, &state.shutdown);
    let last = LastEventId::of(&headers)?.filter(|_| query.follow);
    let offset = last.map_or(query.offset, |last| u64::try_from(last).unwrap_or(u64::MAX));
    let log = logs::open_log(database, logs, shutdown, id, offset).await?;
    if last.is_some() {
        log.check_start()?;
    }
    if query.follow && log_events::are_accepted(&headers) {
        let permit = stream_permit(&state, peer)?;
        let response = log_events::follow(log, shutdown.clone());
        return Ok(response.map(|body| hold_until_sent(body, permit)));
    }
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

/// Returns the PKGBUILD of an attempt, as it was built.
#[utoipa::path(
    get,
    path = "/attempts/{id}/pkgbuild",
    tag = "builds",
    params(("id" = AttemptId, Path, description = "The attempt")),
    responses((
        status = 200,
        description = "The PKGBUILD",
        body = String,
        content_type = "text/plain; charset=utf-8",
        example = "pkgname=libgreet\npkgver=1.0\npkgrel=1.1\n",
    ))
)]
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
