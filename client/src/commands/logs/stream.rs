//! Reads logs from the server, also while they grow and across broken connections.

use std::time::Duration;

use buildbtw_model::api::Event;
use buildbtw_model::client::{Backoff, ClientError, ConnectionProblem, EventStream};
use buildbtw_model::{AttemptId, BuildId, BuildStatus, EventKind};

use super::sink::Sink;
use crate::context::Context;
use crate::error::{Error, Result};

/// Waits for the first attempt of a build.
pub(super) async fn wait_for_attempt(
    context: &Context,
    build: BuildId,
    mut events: EventStream,
) -> Result<AttemptId> {
    let of_build = |event: &Event| event.build == Some(build);
    loop {
        let Some(event) = context.check(events.next().await)? else {
            return Err(closed());
        };
        if let (true, Some(attempt)) = (of_build(&event), event.attempt) {
            return Ok(attempt);
        }
        if of_build(&event) && event.kind == EventKind::Build(BuildStatus::Cancelled) {
            return Err(Error::new("the build was cancelled before it started"));
        }
    }
}

/// Creates the error of a stream that has ended too early.
pub(in crate::commands) fn closed() -> Error {
    Error::with_hint("the server closed the connection", "try again in a moment")
}

/// Reads the log, and with `--follow` continues at the same offset when the connection breaks.
pub(super) async fn copy(
    context: &Context,
    follow: bool,
    build: BuildId,
    attempt: AttemptId,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut offset = 0;
    let mut backoff = first_backoff();
    loop {
        let before = offset;
        match stream(context, attempt, follow, &mut offset, sink).await? {
            Ok(()) if !follow || has_ended(context, build, attempt).await? => return Ok(()),
            Ok(()) => {}
            Err(error) if error.is_transient() && follow => {}
            Err(error) => return context.check(Err(error)),
        }
        if offset > before {
            backoff = first_backoff();
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

fn first_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
}

/// Reads the log from `offset` until it ends or the connection breaks.
async fn stream(
    context: &Context,
    attempt: AttemptId,
    follow: bool,
    offset: &mut u64,
    sink: &mut Sink<'_>,
) -> Result<std::result::Result<(), ClientError>> {
    let mut log = match context.client.log(attempt, *offset, follow).await {
        Ok(log) => log,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match log.chunk().await {
            Ok(Some(chunk)) => {
                *offset += chunk.len() as u64;
                sink.feed(&chunk)?;
            }
            Ok(None) => return Ok(Ok(())),
            Err(error) => {
                return Ok(Err(ClientError::Connection {
                    server: context.client.server().to_owned(),
                    reason: error.to_string(),
                    problem: ConnectionProblem::Network,
                }));
            }
        }
    }
}

/// Returns whether the stream ended because the attempt ended, and not because the server stopped.
async fn has_ended(context: &Context, build: BuildId, attempt: AttemptId) -> Result<bool> {
    match context.client.build(build).await {
        Ok(detail) => Ok(detail
            .attempts
            .iter()
            .find(|other| other.id == attempt)
            .is_none_or(|attempt| attempt.status.is_final())),
        Err(error) if error.is_transient() => Ok(false),
        Err(error) => context.check(Err(error)),
    }
}
