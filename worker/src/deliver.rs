//! Brings the result of an attempt to the server: log, packages, then the outcome. The same for an
//! attempt of this run and for one that an earlier run of the worker left behind.

use std::sync::Arc;

use buildbtw_model::api::{Outcome, ProblemKind, ReportedPackage};
use buildbtw_model::client::ClientError;
use buildbtw_model::{AttemptId, FailureKind};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::heartbeat;
use crate::link::Refusal;
use crate::log_file::LogFile;
use crate::log_stream::{self, Streamed};
use crate::scratch::AttemptFolder;
use crate::signals::Signals;
use crate::worker::Context;

/// An upload that arrived damaged is sent again this often.
const DAMAGED_UPLOADS: u32 = 3;

/// Whether an attempt is settled with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// The server has answered, or wants to hear nothing: the attempt can be forgotten.
    Yes,
    /// The next worker on this scratch folder has to go on.
    NotYet,
}

/// An attempt's connection with the server: heartbeats and log flow as long as it exists.
#[derive(Debug)]
pub(crate) struct Delivery {
    context: Arc<Context>,
    pub(crate) folder: AttemptFolder,
    pub(crate) log: Arc<LogFile>,
    pub(crate) signals: Arc<Signals>,
    stream: AbortOnDropHandle<Streamed>,
    _heartbeat: AbortOnDropHandle<()>,
}

impl Delivery {
    /// Starts heartbeats and the log.
    pub(crate) fn start(
        context: &Arc<Context>,
        folder: AttemptFolder,
        log: Arc<LogFile>,
        signals: Arc<Signals>,
        lease_s: u32,
    ) -> Self {
        let attempt = folder.attempt;
        let beat = {
            let (context, signals) = (Arc::clone(context), Arc::clone(&signals));
            async move { heartbeat::run(&context, attempt, lease_s, &signals).await }
        };
        let stream = {
            let (context, log) = (Arc::clone(context), Arc::clone(&log));
            async move { log_stream::run(&context, attempt, &log).await }
        };
        Self {
            context: Arc::clone(context),
            folder,
            log,
            signals,
            stream: AbortOnDropHandle::new(tokio::spawn(stream.in_current_span())),
            _heartbeat: AbortOnDropHandle::new(tokio::spawn(beat.in_current_span())),
        }
    }

    /// Reports the outcome; returns when the server has answered or this process leaves. With `save`
    /// the outcome is also written down, at the same time: neither has to wait for the other.
    pub(crate) async fn finish(mut self, outcome: Outcome, save: bool) {
        let (folder, saved) = (self.folder.clone(), outcome.clone());
        let writing =
            tokio::task::spawn_blocking(move || if save { folder.save(&saved) } else { Ok(()) });
        let settled = self.report(outcome).await;
        match writing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot write the outcome down"),
            Err(error) => tracing::error!(%error, "cannot write the outcome down"),
        }
        match settled {
            Settled::Yes => self.discard().await,
            Settled::NotYet => tracing::warn!("not reported yet; left for the next start"),
        }
    }

    /// Forgets the attempt.
    pub(crate) async fn discard(self) {
        let folder = self.folder.clone();
        drop(self);
        let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
        if let Ok(Err(error)) = removed {
            tracing::error!(%error, "cannot remove the attempt's folder");
        }
    }

    async fn report(&mut self, outcome: Outcome) -> Settled {
        let uploads = upload_all(&self.context, &self.folder, outcome);
        let (uploads, streamed) = tokio::join!(uploads, &mut self.stream);
        match streamed {
            Ok(Streamed::Complete | Streamed::GivenUp) => {}
            Ok(Streamed::Ended) => return Settled::Yes,
            Ok(Streamed::Left) => return Settled::NotYet,
            Err(error) => tracing::error!(%error, "log streaming ended unexpectedly"),
        }
        // The server is to see the attempt running before it ends.
        self.signals.announced.cancelled().await;
        match uploads {
            Ok(outcome) => report_outcome(&self.context, self.folder.attempt, outcome).await,
            Err(settled) => settled,
        }
    }
}

/// Reports a failure of an attempt that has no folder.
pub(crate) async fn failure(context: &Context, attempt: AttemptId, message: String) {
    let outcome = Outcome::Failed {
        kind: FailureKind::Infrastructure,
        message,
    };
    report_outcome(context, attempt, outcome).await;
}

/// Uploads what the outcome names. An upload that is refused turns it into a failure.
async fn upload_all(
    context: &Context,
    folder: &AttemptFolder,
    outcome: Outcome,
) -> Result<Outcome, Settled> {
    let Outcome::Succeeded { packages } = &outcome else {
        return Ok(outcome);
    };
    for package in packages {
        if let Err(error) = upload(context, folder, package).await? {
            tracing::error!(%error, package = %package.file_name, "upload refused");
            return Ok(Outcome::Failed {
                kind: blame(&error),
                message: format!("{} was not accepted: {error}", package.file_name),
            });
        }
    }
    Ok(outcome)
}

/// Whose fault it is that an upload was refused.
fn blame(error: &ClientError) -> FailureKind {
    match error.problem_kind() {
        Some(ProblemKind::UnexpectedPackage | ProblemKind::TooLarge) => FailureKind::Package,
        _ => FailureKind::Infrastructure,
    }
}

async fn upload(
    context: &Context,
    folder: &AttemptFolder,
    package: &ReportedPackage,
) -> Result<Result<(), ClientError>, Settled> {
    let path = folder.package(&package.file_name);
    let mut damaged = 0;
    loop {
        let client = &context.link.client;
        let send =
            || client.upload_package(folder.attempt, &package.file_name, &package.sha256, &path);
        return match context.link.persist(send).await {
            Ok(_) => Ok(Ok(())),
            Err(Refusal::Refused(error)) => {
                damaged += 1;
                let again = error.problem_kind() == Some(ProblemKind::ChecksumMismatch);
                if again && damaged < DAMAGED_UPLOADS {
                    continue;
                }
                Ok(Err(error))
            }
            Err(refusal) => Err(settle(context, refusal)),
        };
    }
}

async fn report_outcome(context: &Context, attempt: AttemptId, outcome: Outcome) -> Settled {
    let mut outcome = outcome;
    loop {
        let send = || context.link.client.report_outcome(attempt, &outcome);
        let error = match context.link.persist(send).await {
            Ok(accepted) => {
                tracing::debug!(attempt.status = %accepted.status, "reported");
                return Settled::Yes;
            }
            Err(Refusal::Refused(error)) => error,
            Err(refusal) => return settle(context, refusal),
        };
        tracing::error!(%error, "the server refuses the outcome");
        match outcome {
            // The build must not wait for its lease only because its result is not accepted.
            Outcome::Succeeded { .. } => {
                outcome = Outcome::Failed {
                    kind: blame(&error),
                    message: format!("the result was not accepted: {error}"),
                };
            }
            Outcome::Failed { .. } => return Settled::Yes,
        }
    }
}

fn settle(context: &Context, refusal: Refusal) -> Settled {
    match refusal {
        Refusal::Ended => {
            tracing::warn!("the server has given this attempt up; dropping its result");
            Settled::Yes
        }
        Refusal::Refused(_) => Settled::Yes,
        Refusal::Denied(error) => {
            context.denied(error);
            Settled::NotYet
        }
        Refusal::Leaving => Settled::NotYet,
    }
}
