//! Brings the result of an attempt to the server: log, packages, then the outcome. The same for an
//! attempt of this run and for one that an earlier run of the program left behind.

use std::sync::Arc;

use buildbtw_model::api::{Outcome, ProblemKind, ReportedPackage};
use buildbtw_model::client::ClientError;
use buildbtw_model::{AttemptId, FailureKind};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::folder::AttemptFolder;
use crate::heartbeat;
use crate::link::{Link, Refusal};
use crate::log_file::LogFile;
use crate::log_stream::{self, Streamed};
use crate::signals::Signals;

/// An upload that arrived damaged is sent again this often.
const DAMAGED_UPLOADS: u32 = 3;

/// Whether an attempt is settled with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The server has answered: the attempt can be forgotten.
    Yes,
    /// The server has given the attempt up and wants to hear nothing: it can be forgotten, too.
    Ended,
    /// The program leaves, or the server takes its token no more; somebody has to go on.
    NotYet,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome as the server was told: when it did not accept a success, a failure that says so.
    pub outcome: Outcome,
    /// Whether the server knows.
    pub settled: Settled,
}

/// An attempt's connection with the server: heartbeats and log flow as long as it exists.
#[derive(Debug)]
pub(crate) struct Delivery {
    link: Arc<Link>,
    pub(crate) folder: AttemptFolder,
    pub(crate) log: Arc<LogFile>,
    pub(crate) signals: Arc<Signals>,
    stream: AbortOnDropHandle<Streamed>,
    _heartbeat: AbortOnDropHandle<()>,
}

impl Delivery {
    /// Starts heartbeats and the log.
    pub(crate) fn start(
        link: &Arc<Link>,
        folder: AttemptFolder,
        log: Arc<LogFile>,
        signals: Arc<Signals>,
        lease_s: u32,
    ) -> Self {
        let attempt = folder.attempt();
        let beat = {
            let (link, signals) = (Arc::clone(link), Arc::clone(&signals));
            async move { heartbeat::run(&link, attempt, lease_s, &signals).await }
        };
        let stream = {
            let (link, log) = (Arc::clone(link), Arc::clone(&log));
            async move { log_stream::run(&link, attempt, &log).await }
        };
        Self {
            link: Arc::clone(link),
            folder,
            log,
            signals,
            stream: AbortOnDropHandle::new(tokio::spawn(stream.in_current_span())),
            _heartbeat: AbortOnDropHandle::new(tokio::spawn(beat.in_current_span())),
        }
    }

    /// Reports the outcome; returns when the server has answered or this process leaves. With `save`
    /// the outcome is also written down, at the same time: neither has to wait for the other.
    pub(crate) async fn finish(mut self, outcome: Outcome, save: bool) -> Report {
        let (folder, saved) = (self.folder.clone(), outcome.clone());
        let writing =
            tokio::task::spawn_blocking(move || if save { folder.save(&saved) } else { Ok(()) });
        let report = self.report(outcome).await;
        match writing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot write the outcome down"),
            Err(error) => tracing::error!(%error, "cannot write the outcome down"),
        }
        report
    }

    async fn report(&mut self, outcome: Outcome) -> Report {
        let uploads = upload_all(&self.link, &self.folder, outcome);
        let (uploads, streamed) = tokio::join!(uploads, &mut self.stream);
        let (outcome, uploaded) = uploads;
        let streamed = match streamed {
            Ok(Streamed::Complete | Streamed::GivenUp) => None,
            Ok(Streamed::Ended) => Some(Settled::Ended),
            Ok(Streamed::Left) => Some(Settled::NotYet),
            Err(error) => {
                tracing::error!(%error, "log streaming ended unexpectedly");
                None
            }
        };
        if let Some(settled) = streamed.or(uploaded.err()) {
            return Report { outcome, settled };
        }
        // The server is to see the attempt running before it ends.
        self.signals.announced.cancelled().await;
        report_outcome(&self.link, self.folder.attempt(), outcome).await
    }
}

/// Uploads what the outcome names. An upload that is refused turns it into a failure.
async fn upload_all(
    link: &Link,
    folder: &AttemptFolder,
    outcome: Outcome,
) -> (Outcome, Result<(), Settled>) {
    let Outcome::Succeeded { packages } = &outcome else {
        return (outcome, Ok(()));
    };
    for package in packages {
        match upload(link, folder, package).await {
            Ok(()) => {}
            Err(Refusal::Refused(error)) => {
                tracing::error!(%error, package = %package.file_name, "upload refused");
                let refused = Outcome::Failed {
                    kind: blame(&error),
                    message: format!("{} was not accepted: {error}", package.file_name),
                };
                return (refused, Ok(()));
            }
            Err(refusal) => return (outcome, Err(settle(link, refusal))),
        }
    }
    match upload_pkgbuild(link, folder).await {
        Ok(()) => (outcome, Ok(())),
        // The packages count. A server of an earlier version keeps none.
        Err(Refusal::Refused(error)) => {
            tracing::warn!(%error, "the server does not keep the PKGBUILD");
            (outcome, Ok(()))
        }
        Err(refusal) => (outcome, Err(settle(link, refusal))),
    }
}

async fn upload_pkgbuild(link: &Link, folder: &AttemptFolder) -> Result<(), Refusal> {
    let Ok(text) = fs_err::tokio::read(folder.pkgbuild()).await else {
        return Ok(());
    };
    let send = || link.client.upload_pkgbuild(folder.attempt(), text.clone());
    link.persist(send).await
}

/// Whose fault it is that an upload was refused.
fn blame(error: &ClientError) -> FailureKind {
    match error.problem_kind() {
        Some(ProblemKind::UnexpectedPackage | ProblemKind::TooLarge) => FailureKind::Package,
        _ => FailureKind::Infrastructure,
    }
}

async fn upload(
    link: &Link,
    folder: &AttemptFolder,
    package: &ReportedPackage,
) -> Result<(), Refusal> {
    let path = folder.package(&package.file_name);
    let mut damaged = 0;
    loop {
        let send = || {
            link.client
                .upload_package(folder.attempt(), &package.file_name, &package.sha256, &path)
        };
        let refusal = match link.persist(send).await {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        damaged += 1;
        match &refusal {
            Refusal::Refused(error)
                if error.problem_kind() == Some(ProblemKind::ChecksumMismatch)
                    && damaged < DAMAGED_UPLOADS => {}
            _ => return Err(refusal),
        }
    }
}

/// Repeats the outcome until the server has answered it.
pub(crate) async fn report_outcome(link: &Link, attempt: AttemptId, outcome: Outcome) -> Report {
    let mut outcome = outcome;
    loop {
        let send = || link.client.report_outcome(attempt, &outcome);
        let refusal = match link.persist(send).await {
            Ok(accepted) => {
                tracing::debug!(attempt.status = %accepted.status, "reported");
                let settled = Settled::Yes;
                return Report { outcome, settled };
            }
            Err(refusal) => refusal,
        };
        let Refusal::Refused(error) = refusal else {
            let settled = settle(link, refusal);
            return Report { outcome, settled };
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
            Outcome::Failed { .. } => {
                let settled = Settled::Yes;
                return Report { outcome, settled };
            }
        }
    }
}

fn settle(link: &Link, refusal: Refusal) -> Settled {
    match refusal {
        Refusal::Ended => {
            tracing::warn!("the server has given this attempt up; dropping its result");
            Settled::Ended
        }
        Refusal::Refused(_) => Settled::Yes,
        Refusal::Denied(error) => {
            link.denied(error);
            Settled::NotYet
        }
        Refusal::Leaving => Settled::NotYet,
    }
}
