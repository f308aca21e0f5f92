//! `/attempts/{id}/log` and `/attempts/{id}/pkgbuild`: a log as it is, with ranges, or as it grows, and
//! what was built.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::AttemptId;
use futures_util::Stream;
use serde::Deserialize;

use crate::db::attempts;
use crate::error::Error;
use crate::routes::conditional::{self, Wanted};
use crate::routes::extract;
use crate::routes::streaming::NO_BUFFERING;
use crate::serve::{Peer, hold};
use crate::state::AppState;

/// How much is read from disk and sent at once.
const PIECE: u64 = 256 * 1024;
/// How often a follower looks at the attempt although its log does not grow.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

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
    // In this order: nothing is written to the log of an attempt that is over.
    let attempt = attempts::by_id(state.database.read(), id)
        .await?
        .ok_or_else(|| Error::not_found(format!("attempt {id}")))?;
    let is_final = attempt.status.is_final();
    let mut response = if query.follow && !is_final {
        let permit = peer
            .map(|Extension(Peer(peer))| state.admission.stream(peer.ip()))
            .transpose()?;
        live(state, id, query.offset).map(|body| hold(body, permit))
    } else {
        let log = Log {
            attempt: id,
            start: query.offset,
            length: state.logs.length(id).await?.saturating_sub(query.offset),
            is_final,
        };
        log.answer(state, &method, &headers)?
    };
    // Logs are written by hostile builds: never let a browser take one for a page.
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}

/// The PKGBUILD that an attempt built with.
pub(crate) async fn read_pkgbuild(
    State(state): State<AppState>,
    extract::Path(id): extract::Path<AttemptId>,
) -> Result<Response, Error> {
    let text = state.logs.pkgbuild(id).await?;
    let text = text.ok_or_else(|| Error::not_found(format!("PKGBUILD of attempt {id}")))?;
    // As hostile as logs are.
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, text).into_response())
}

/// A log that grows, for as long as it does.
fn live(state: AppState, attempt: AttemptId, offset: u64) -> Response {
    let follower = Follower {
        state,
        attempt,
        offset,
        end: None,
    };
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Every line counts as soon as it is there: neither a proxy nor compression may wait for more.
        (NO_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(stream(follower))).into_response()
}

/// A log as it is now, from an offset on.
struct Log {
    attempt: AttemptId,
    start: u64,
    length: u64,
    /// Whether it stays like this.
    is_final: bool,
}

impl Log {
    fn answer(
        &self,
        state: AppState,
        method: &Method,
        request: &HeaderMap,
    ) -> Result<Response, Error> {
        // One that grows is another one with the next line.
        let tag = self
            .is_final
            .then(|| format!("\"{}-{}-{}\"", self.attempt, self.start, self.length))
            .map(|tag| HeaderValue::from_str(&tag))
            .transpose()
            .map_err(anyhow::Error::from)?;
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
        let length = self.length;
        let mut range = |text: String| {
            let value = HeaderValue::from_str(&text).map_err(anyhow::Error::from)?;
            headers.insert(header::CONTENT_RANGE, value);
            Ok::<(), anyhow::Error>(())
        };
        let (status, from, to) = match conditional::wanted(method, request, length, tag.as_ref()) {
            Wanted::Whole => (StatusCode::OK, 0, length),
            Wanted::Part(from, to) => {
                range(format!("bytes {from}-{}/{length}", to - 1))?;
                (StatusCode::PARTIAL_CONTENT, from, to)
            }
            Wanted::Nothing => {
                range(format!("bytes */{length}"))?;
                (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0)
            }
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
        let follower = Follower {
            state,
            attempt: self.attempt,
            offset: self.start + from,
            end: Some(self.start + to),
        };
        Ok((status, headers, Body::from_stream(stream(follower))).into_response())
    }
}

struct Follower {
    state: AppState,
    attempt: AttemptId,
    offset: u64,
    /// Where to end; with the attempt if nothing is said.
    end: Option<u64>,
}

impl Follower {
    /// The next piece of the log; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self.end {
            Some(end) => self.up_to(end).await,
            None => self.follow().await,
        }
    }

    async fn up_to(&mut self, end: u64) -> Result<Option<Bytes>, Error> {
        let left = end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        let piece = self.read(left.min(PIECE)).await?;
        if piece.is_none() {
            // The client was told the length: it has to see that this is less.
            return Err(anyhow::anyhow!("the log of attempt {} is gone", self.attempt).into());
        }
        Ok(piece)
    }

    async fn follow(&mut self) -> Result<Option<Bytes>, Error> {
        let mut growth = self.state.logs.subscribe(self.attempt);
        loop {
            // In this order: an attempt that is over writes nothing any more.
            let over = self.is_over().await?;
            if over {
                // The server may be adding why.
                self.state.logs.settled(self.attempt).await;
            }
            let piece = self.read(PIECE).await?;
            if piece.is_some() || over {
                return Ok(piece);
            }
            tokio::select! {
                _ = growth.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.state.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    async fn read(&mut self, limit: u64) -> Result<Option<Bytes>, Error> {
        let logs = &self.state.logs;
        let piece = logs.read(self.attempt, self.offset, limit).await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    async fn is_over(&self) -> Result<bool, Error> {
        let attempt = attempts::by_id(self.state.database.read(), self.attempt).await?;
        Ok(attempt.is_none_or(|attempt| attempt.status.is_final()))
    }
}

fn stream(follower: Follower) -> impl Stream<Item = Result<Bytes, Error>> {
    futures_util::stream::try_unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Ok(piece.map(|piece| (piece, follower)))
    })
}
