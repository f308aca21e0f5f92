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
use crate::routes::streaming::NO_BUFFERING;
use crate::serve::{Peer, hold_until_sent};
use crate::service::read::logs;
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
    // Read before the length: nothing is appended to the log of an ended attempt.
    let is_final = logs::is_final(&state.database, id).await?;
    let mut response = if query.follow && !is_final {
        let permit = peer
            .map(|Extension(Peer(peer))| state.admission.stream(peer.ip()))
            .transpose()?;
        live(state, id, query.offset).map(|body| hold_until_sent(body, permit))
    } else {
        let log = Log {
            attempt: id,
            start: query.offset,
            length: state.logs.length(id).await?.saturating_sub(query.offset),
            is_final,
        };
        log.respond(state, &method, &headers)?
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
    let text = state.logs.pkgbuild(id).await?;
    let text = text.ok_or_else(|| Error::not_found(format!("PKGBUILD of attempt {id}")))?;
    // As hostile as logs.
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, text).into_response())
}

/// Returns a response that follows a growing log.
fn live(state: AppState, attempt: AttemptId, offset: u64) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Each line counts: neither a proxy nor compression may buffer.
        (NO_BUFFERING, "no"),
    ];
    let body = Body::from_stream(logs::follow(state, attempt, offset));
    (headers, body).into_response()
}

/// The current content of a log from an offset on.
struct Log {
    attempt: AttemptId,
    start: u64,
    length: u64,
    /// Whether the attempt has ended.
    is_final: bool,
}

impl Log {
    /// Returns the tag. A growing log has none, since each line changes it.
    fn tag(&self) -> Result<Option<HeaderValue>, Error> {
        if !self.is_final {
            return Ok(None);
        }
        let tag = format!("\"{}-{}-{}\"", self.attempt, self.start, self.length);
        let tag = HeaderValue::from_str(&tag).map_err(anyhow::Error::from)?;
        Ok(Some(tag))
    }

    fn respond(
        &self,
        state: AppState,
        method: &Method,
        request: &HeaderMap,
    ) -> Result<Response, Error> {
        let tag = self.tag()?;
        let mut headers = HeaderMap::new();
        let caching = if self.is_final {
            "no-cache"
        } else {
            "no-store"
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(tag) = &tag {
            headers.insert(header::ETAG, tag.clone());
            if conditional::has_tag(request, tag) {
                return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
            }
        }
        let requested = conditional::requested_range(method, request, self.length, tag.as_ref());
        let (status, from, to) = self.select(requested, &mut headers)?;
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
        let part = logs::part(state, self.attempt, self.start + from, self.start + to);
        Ok((status, headers, Body::from_stream(part)).into_response())
    }

    /// Returns the status and the bounds of the requested bytes, and sets their header.
    fn select(
        &self,
        requested: RequestedRange,
        headers: &mut HeaderMap,
    ) -> Result<(StatusCode, u64, u64), Error> {
        let length = self.length;
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
}
