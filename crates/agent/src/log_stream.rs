//! Streams the log of an attempt to the server.
//!
//! Each response contains the length of the server's log, and the next chunk continues there: a chunk whose response
//! was lost is not sent twice, and bytes that the server lost in a crash are sent again.

use std::time::Duration;

use buildbtw_model::{AttemptId, saturating};

use crate::connection::{self, Connection, RequestError};
use crate::log_file::LogFile;

/// The largest chunk of one request, in bytes.
pub(crate) const CHUNK: u64 = 64 * 1024;
/// How long output is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(200);
/// The number of consecutive responses without progress after which the log is abandoned.
const MAX_STALLED: u32 = 12;

/// How streaming ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// The server has the whole log.
    Complete,
    /// The server rejected the rest, or the log cannot be read.
    Abandoned,
    /// The server has ended the attempt.
    AttemptEnded,
    /// The program shuts down, or its token was rejected.
    Stopped,
}

/// Sends the log until it is closed and the server has all of it.
pub(crate) async fn run(connection: &Connection, attempt: AttemptId, log: &LogFile) -> Streamed {
    let mut state = log.watch();
    let mut offset = 0;
    let mut stalled = 0;
    let mut backoff = connection::backoff();
    loop {
        // Neither wait can fail: the sender is part of `log`, which is borrowed.
        let _ = state.wait_for(|s| s.length > offset || s.closed).await;
        let gathered = state.wait_for(|s| s.length >= offset + CHUNK || s.closed);
        let _ = tokio::time::timeout(GATHER, gathered).await;
        let now = *state.borrow();
        if offset >= now.length {
            if now.closed {
                return Streamed::Complete;
            }
            continue;
        }
        let size = (now.length - offset).min(CHUNK);
        let chunk = match log.read(offset, saturating(size)).await {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::error!(%error, "cannot read the build log");
                return Streamed::Abandoned;
            }
        };
        let send = || connection.client.append_log(attempt, offset, chunk.clone());
        match connection.retry(send).await {
            Ok(response) if response.length == offset => {
                stalled += 1;
                if stalled == MAX_STALLED {
                    tracing::warn!("the server accepts no more of the build log");
                    return Streamed::Abandoned;
                }
                tokio::time::sleep(backoff.next_pause()).await;
            }
            Ok(response) => {
                stalled = 0;
                backoff = connection::backoff();
                offset = response.length;
            }
            Err(RequestError::AttemptEnded) => return Streamed::AttemptEnded,
            Err(RequestError::ShuttingDown) => return Streamed::Stopped,
            Err(RequestError::Denied(error)) => {
                connection.denied(error);
                return Streamed::Stopped;
            }
            Err(RequestError::Rejected(error)) => {
                tracing::warn!(%error, "the server rejected the build log");
                return Streamed::Abandoned;
            }
        }
    }
}
