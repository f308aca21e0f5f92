//! `/attempts/{id}/log`: a log as it is, or as it grows.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use buildbtw_model::AttemptId;
use futures_util::Stream;
use serde::Deserialize;

use crate::app_state::AppState;
use crate::db::attempts;
use crate::error::Error;
use crate::routes::extract;

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
) -> Result<Response, Error> {
    if attempts::by_id(state.database.read(), id).await?.is_none() {
        return Err(Error::not_found(format!("attempt {id}")));
    }
    let body = Body::from_stream(stream(state, id, query.offset, query.follow));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    // Logs are written by hostile builds: never let a browser take one for a page.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Follower {
    state: AppState,
    attempt: AttemptId,
    offset: u64,
    follow: bool,
}

impl Follower {
    /// The next piece of the log; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut growth = self.follow.then(|| self.state.logs.subscribe(self.attempt));
        loop {
            // In this order: an attempt that is over writes nothing any more.
            let over = !self.follow || self.is_over().await?;
            let piece = self
                .state
                .logs
                .read(self.attempt, self.offset, PIECE)
                .await?;
            if !piece.is_empty() {
                self.offset += piece.len() as u64;
                return Ok(Some(piece.into()));
            }
            if over {
                return Ok(None);
            }
            let Some(growth) = &mut growth else {
                return Ok(None);
            };
            tokio::select! {
                _ = growth.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.state.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    async fn is_over(&self) -> Result<bool, Error> {
        let attempt = attempts::by_id(self.state.database.read(), self.attempt).await?;
        Ok(attempt.is_none_or(|attempt| attempt.status.is_final()))
    }
}

fn stream(
    state: AppState,
    attempt: AttemptId,
    offset: u64,
    follow: bool,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let follower = Follower {
        state,
        attempt,
        offset,
        follow,
    };
    futures_util::stream::try_unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Ok(piece.map(|piece| (piece, follower)))
    })
}
