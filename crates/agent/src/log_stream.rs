//! Brings the log of an attempt to the server, while it is written and after.
//!
//! The server's word on how much it has is the truth: a chunk whose answer was lost is skipped, what
//! the server lost in a crash is sent again, so that its log is the file on this side, byte for byte.

use std::time::Duration;

use buildbtw_model::AttemptId;

use crate::link::{self, Link, Refusal};
use crate::log_file::LogFile;

/// The most that is sent at once.
pub(crate) const CHUNK: u64 = 64 * 1024;
/// How long output is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(200);
/// After this many answers without any progress the log is given up.
const FRUITLESS: u32 = 12;

/// How streaming ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// The server has all of it.
    Complete,
    /// The server does not want (the rest of) it.
    GivenUp,
    /// The attempt is over on the server's side.
    Ended,
    /// Nothing more can be sent by this process.
    Left,
}

/// Sends the log until it is closed and the server has it.
pub(crate) async fn run(link: &Link, attempt: AttemptId, log: &LogFile) -> Streamed {
    let mut state = log.watch();
    let mut offset = 0;
    let mut fruitless = 0;
    let mut backoff = link::backoff();
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
        // CHUNK fits any usize.
        let chunk = match log
            .read(offset, usize::try_from(size).unwrap_or_default())
            .await
        {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::error!(%error, "cannot read the build's log");
                return Streamed::GivenUp;
            }
        };
        let send = || link.client.append_log(attempt, offset, chunk.clone());
        match link.persist(send).await {
            Ok(answer) if answer.length == offset => {
                fruitless += 1;
                if fruitless == FRUITLESS {
                    tracing::warn!("the server takes no more of the log");
                    return Streamed::GivenUp;
                }
                tokio::time::sleep(backoff.next_pause()).await;
            }
            Ok(answer) => {
                fruitless = 0;
                backoff = link::backoff();
                offset = answer.length;
            }
            Err(Refusal::Ended) => return Streamed::Ended,
            Err(Refusal::Leaving) => return Streamed::Left,
            Err(Refusal::Denied(error)) => {
                link.denied(error);
                return Streamed::Left;
            }
            Err(Refusal::Refused(error)) => {
                tracing::warn!(%error, "the server refuses the log");
                return Streamed::GivenUp;
            }
        }
    }
}
