//! Reads the log of an attempt, or follows it.

use std::time::Duration;

use buildbtw_model::AttemptId;
use buildbtw_model::api::ProblemKind;
use bytes::Bytes;
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::db::{Database, attempts};
use crate::error::{Error, Refusal};
use crate::logs::Logs;
use crate::service::attempt_guard::no_attempt;

/// The number of bytes read from disk and sent at once.
const CHUNK_SIZE: u64 = 256 * 1024;
/// How often a follower polls the attempt while its log does not grow.
const POLL_INTERVAL: Duration = Duration::from_secs(20);

/// The log of an attempt from an offset on.
pub struct OpenLog {
    source: Source,
    /// The attempt.
    pub attempt: AttemptId,
    /// The offset.
    pub start: u64,
    /// The number of bytes after the offset.
    pub length: u64,
    /// The number of all bytes.
    whole: u64,
    /// Whether the attempt has ended, so that the log is complete.
    pub is_final: bool,
}

/// Where logs are read.
#[derive(Clone)]
struct Source {
    database: Database,
    logs: Logs,
    shutdown: CancellationToken,
}

/// Opens the log of an attempt at an offset.
///
/// # Errors
/// When there is no such attempt, or the disk fails.
pub async fn open_log(
    database: &Database,
    logs: &Logs,
    shutdown: &CancellationToken,
    attempt: AttemptId,
    start: u64,
) -> Result<OpenLog, Error> {
    let row = attempts::by_id(database.read(), attempt).await?;
    let row = row.ok_or_else(|| no_attempt(attempt))?;
    // Read after the row: nothing is appended to the log of an ended attempt.
    let whole = logs.length(attempt).await?;
    Ok(OpenLog {
        is_final: row.status.is_final(),
        length: whole.saturating_sub(start),
        whole,
        attempt,
        start,
        source: Source {
            database: database.clone(),
            logs: logs.clone(),
            shutdown: shutdown.clone(),
        },
    })
}

/// Returns the PKGBUILD that an attempt built with.
///
/// # Errors
/// When it is not stored, or the disk fails.
pub async fn read_pkgbuild(logs: &Logs, attempt: AttemptId) -> Result<Vec<u8>, Error> {
    let text = logs.pkgbuild(attempt).await?;
    text.ok_or_else(|| {
        Error::not_found(format!("PKGBUILD of attempt {attempt}"))
            .hint("the page of a build lists its attempts; one that ended before makepkg started has none")
    })
}

/// Creates the refusal of an offset beyond the end of a log.
pub(in crate::service) fn beyond_end(start: u64, attempt: AttemptId, whole: u64) -> Error {
    let title = format!("event {start} is not one of the log of attempt {attempt}");
    Refusal::new(ProblemKind::InvalidRequest, title)
        .detail(format!("the log has {whole} bytes"))
        .hint("follow without `Last-Event-ID` to read the log from its beginning")
        .into()
}

impl OpenLog {
    /// Refuses an offset beyond the log: it is of another one, and would never be reached.
    ///
    /// # Errors
    /// When the log is shorter.
    pub fn check_start(&self) -> Result<(), Error> {
        if self.start <= self.whole {
            return Ok(());
        }
        Err(beyond_end(self.start, self.attempt, self.whole))
    }

    /// Streams the bytes between two positions after the offset.
    pub fn part(self, from: u64, to: u64) -> impl Stream<Item = Result<Bytes, Error>> {
        stream(Follower {
            offset: self.start + from,
            end: Some(self.start + to),
            attempt: self.attempt,
            source: self.source,
        })
    }

    /// Streams the log while it grows, until the attempt ends or the server shuts down.
    pub fn follow(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream(Follower {
            offset: self.start,
            end: None,
            attempt: self.attempt,
            source: self.source,
        })
    }
}

fn stream(follower: Follower) -> impl Stream<Item = Result<Bytes, Error>> {
    futures_util::stream::try_unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Ok(piece.map(|piece| (piece, follower)))
    })
}

struct Follower {
    source: Source,
    attempt: AttemptId,
    offset: u64,
    /// The offset at which to end; `None` to end with the attempt.
    end: Option<u64>,
}

impl Follower {
    /// Returns the next piece of the log; `None` at its end.
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
        let piece = self.read(left.min(CHUNK_SIZE)).await?;
        if piece.is_none() {
            // The client knows the length, and must notice that the log is shorter.
            return Err(anyhow::anyhow!("the log of attempt {} was removed", self.attempt).into());
        }
        Ok(piece)
    }

    async fn follow(&mut self) -> Result<Option<Bytes>, Error> {
        let mut growth = self.source.logs.subscribe(self.attempt);
        loop {
            // In this order: nothing is written to the log of an attempt that has ended.
            let has_ended = self.has_ended().await?;
            if has_ended {
                // The server may still append why it ended.
                self.source.logs.writes_ended(self.attempt).await;
            }
            let piece = self.read(CHUNK_SIZE).await?;
            if piece.is_some() || has_ended {
                return Ok(piece);
            }
            tokio::select! {
                _ = growth.changed() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = self.source.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    async fn read(&mut self, limit: u64) -> Result<Option<Bytes>, Error> {
        let logs = &self.source.logs;
        let piece = logs.read(self.attempt, self.offset, limit).await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    async fn has_ended(&self) -> Result<bool, Error> {
        let attempt = attempts::by_id(self.source.database.read(), self.attempt).await?;
        Ok(attempt.is_none_or(|attempt| attempt.status.is_final()))
    }
}
