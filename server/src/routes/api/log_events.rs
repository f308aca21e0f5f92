//! A log as server-sent events: whole lines as JSON texts, each message with the offset after it as its id.

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as SseEvent, KeepAlive};
use axum::response::{IntoResponse as _, Response, Sse};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::routes::streaming::NO_BUFFERING;
use crate::service::read::logs::OpenLog;

/// A line that is longer is sent in parts.
const MAX_PENDING: usize = 256 * 1024;

/// Returns whether the client asks for server-sent events.
pub(super) fn are_accepted(request: &HeaderMap) -> bool {
    let accepted = request
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accepted.is_some_and(|types| types.contains("text/event-stream"))
}

/// Returns a response that follows a log until the attempt has ended.
pub(super) fn follow(log: OpenLog, shutdown: CancellationToken) -> Response {
    let lines = Lines {
        shutdown,
        offset: log.start,
        pieces: log.follow().boxed(),
        pending: Vec::new(),
        has_ended: false,
    };
    let stream = Sse::new(messages(lines)).keep_alive(KeepAlive::new());
    ([(NO_BUFFERING, "no")], stream).into_response()
}

/// The lines of a log that grows.
struct Lines {
    shutdown: CancellationToken,
    pieces: BoxStream<'static, Result<Bytes, Error>>,
    /// Bytes that were read, but not sent.
    pending: Vec<u8>,
    /// The offset of these bytes.
    offset: u64,
    has_ended: bool,
}

impl Lines {
    /// Waits for whole lines, or for what follows the last one when the log has ended; `None` after that.
    async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            let end = self.pending.iter().rposition(|&byte| byte == b'\n');
            let end = match end {
                Some(newline) => newline + 1,
                None if self.has_ended || self.pending.len() > MAX_PENDING => self.pending.len(),
                None => 0,
            };
            if end > 0 {
                let sent: Vec<u8> = self.pending.drain(..end).collect();
                self.offset += sent.len() as u64;
                return Ok(Some(String::from_utf8_lossy(&sent).into_owned()));
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.pieces.next().await.transpose()? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => self.has_ended = true,
            }
        }
    }
}

fn messages(lines: Lines) -> impl Stream<Item = Result<SseEvent, Error>> {
    futures_util::stream::try_unfold((lines, false), |(mut lines, is_over)| async move {
        if is_over {
            return Ok(None);
        }
        let text = lines.next().await?;
        if text.is_none() && lines.shutdown.is_cancelled() {
            // The log continues: without an `end`, clients connect again.
            return Ok(None);
        }
        let event = SseEvent::default().id(lines.offset.to_string());
        Ok(Some(match text {
            Some(text) => {
                let event = event.json_data(text).map_err(anyhow::Error::from)?;
                (event, (lines, false))
            }
            None => (event.event("end").data(""), (lines, true)),
        }))
    })
}
