//! Delivers the result of an attempt to the server: log, packages, then the outcome. It may be an attempt of this run
//! or of an earlier run of the program.

use std::sync::Arc;

use buildbtw_model::api::{Outcome, ProblemKind, ReportedPackage};
use buildbtw_model::client::ClientError;
use buildbtw_model::{AttemptId, FailureKind, PackageFileName};
use buildbtw_telemetry::{spawn_blocking_named, spawn_named};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::connection::{Connection, RequestError};
use crate::folder::AttemptFolder;
use crate::heartbeat;
use crate::log_file::LogFile;
use crate::log_stream::{self, Streamed};
use crate::signals::Signals;

/// How often to try an upload that arrives with a wrong checksum.
const MAX_DAMAGED_UPLOADS: u32 = 3;

/// Whether an attempt is settled with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The server has accepted or rejected the outcome: the attempt's files can be removed.
    Reported,
    /// The server has ended the attempt and accepts no report: its files can be removed, too.
    AttemptEnded,
    /// The program shuts down, or the server rejected its token: the outcome must be reported later.
    Pending,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome as reported. A success that the server rejected becomes a failure.
    pub outcome: Outcome,
    /// Whether the server has the outcome.
    pub settled: Settled,
}

/// Sends heartbeats and the log of an attempt until it is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    connection: Arc<Connection>,
    pub(crate) folder: AttemptFolder,
    pub(crate) log: Arc<LogFile>,
    pub(crate) signals: Arc<Signals>,
    stream: AbortOnDropHandle<Streamed>,
    _heartbeat: AbortOnDropHandle<()>,
}

impl Delivery {
    /// Starts to send heartbeats and the log.
    pub(crate) fn start(
        connection: &Arc<Connection>,
        folder: AttemptFolder,
        log: Arc<LogFile>,
        signals: Arc<Signals>,
        lease_s: u32,
    ) -> Self {
        let attempt = folder.attempt();
        let beat = {
            let (connection, signals) = (Arc::clone(connection), Arc::clone(&signals));
            async move { heartbeat::run(&connection, attempt, lease_s, &signals).await }
        };
        let stream = {
            let (connection, log) = (Arc::clone(connection), Arc::clone(&log));
            async move { log_stream::run(&connection, attempt, &log).await }
        };
        Self {
            connection: Arc::clone(connection),
            folder,
            log,
            signals,
            stream: AbortOnDropHandle::new(spawn_named("log stream", stream.in_current_span())),
            _heartbeat: AbortOnDropHandle::new(spawn_named("heartbeat", beat.in_current_span())),
        }
    }

    /// Reports the outcome, until the server has responded or the program shuts down. With `save`, the outcome is also
    /// saved concurrently, so that neither waits for the other.
    pub(crate) async fn finish(mut self, outcome: Outcome, save: bool) -> Report {
        let (folder, saved) = (self.folder.clone(), outcome.clone());
        let writing = spawn_blocking_named("save outcome", move || {
            if save { folder.save(&saved) } else { Ok(()) }
        });
        let report = self.report(outcome).await;
        match writing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot save the outcome"),
            Err(error) => tracing::error!(%error, "cannot save the outcome"),
        }
        report
    }

    async fn report(&mut self, outcome: Outcome) -> Report {
        let uploads = upload_all(&self.connection, &self.folder, outcome);
        let (uploads, streamed) = tokio::join!(uploads, &mut self.stream);
        let (outcome, uploaded) = uploads;
        let streamed = match streamed {
            Ok(Streamed::Complete | Streamed::Abandoned) => None,
            Ok(Streamed::AttemptEnded) => Some(Settled::AttemptEnded),
            Ok(Streamed::Stopped) => Some(Settled::Pending),
            Err(error) => {
                tracing::error!(%error, "log streaming ended unexpectedly");
                None
            }
        };
        if let Some(settled) = streamed.or(uploaded.err()) {
            return Report { outcome, settled };
        }
        // The attempt must be running before it can end.
        self.signals.announced.cancelled().await;
        report_outcome(&self.connection, self.folder.attempt(), outcome).await
    }
}

/// Uploads the packages of a success. A rejected upload turns it into a failure.
async fn upload_all(
    connection: &Connection,
    folder: &AttemptFolder,
    outcome: Outcome,
) -> (Outcome, Result<(), Settled>) {
    let Outcome::Succeeded { packages } = &outcome else {
        return (outcome, Ok(()));
    };
    for package in packages {
        match upload(connection, folder, package).await {
            Ok(()) => {}
            Err(RequestError::Rejected(error)) => {
                tracing::error!(%error, package = %package.file_name, "the server rejected an upload");
                return (rejected_package(&package.file_name, &error), Ok(()));
            }
            Err(error) => return (outcome, Err(settled_by(connection, error))),
        }
    }
    match upload_pkgbuild(connection, folder).await {
        Ok(()) => (outcome, Ok(())),
        // Only the packages are required. Servers of earlier versions reject PKGBUILDs.
        Err(RequestError::Rejected(error)) => {
            tracing::warn!(%error, "the server rejected the PKGBUILD");
            (outcome, Ok(()))
        }
        Err(error) => (outcome, Err(settled_by(connection, error))),
    }
}

async fn upload_pkgbuild(
    connection: &Connection,
    folder: &AttemptFolder,
) -> Result<(), RequestError> {
    let Ok(text) = fs_err::tokio::read(folder.pkgbuild()).await else {
        return Ok(());
    };
    let send = || {
        connection
            .client
            .upload_pkgbuild(folder.attempt(), text.clone())
    };
    connection.retry(send).await
}

/// Returns the outcome of a build with a package that the server rejects.
fn rejected_package(name: &PackageFileName, error: &ClientError) -> Outcome {
    let message = format!("the server rejected `{name}`: {error}");
    Outcome::failed(rejection_kind(error), message)
}

/// Returns the outcome of a build whose success the server rejects.
fn rejected_result(error: &ClientError) -> Outcome {
    let message = format!("the server rejected the result: {error}");
    Outcome::failed(rejection_kind(error), message)
}

/// Returns the failure kind of a rejected report.
fn rejection_kind(error: &ClientError) -> FailureKind {
    match error.problem_kind() {
        Some(ProblemKind::UnexpectedPackage | ProblemKind::TooLarge) => FailureKind::Package,
        _ => FailureKind::Infrastructure,
    }
}

async fn upload(
    connection: &Connection,
    folder: &AttemptFolder,
    package: &ReportedPackage,
) -> Result<(), RequestError> {
    let path = folder.package(&package.file_name);
    let mut damaged = 0;
    loop {
        let send = || {
            connection.client.upload_package(
                folder.attempt(),
                &package.file_name,
                &package.sha256,
                &path,
            )
        };
        let error = match connection.retry(send).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        damaged += 1;
        match &error {
            RequestError::Rejected(error)
                if error.problem_kind() == Some(ProblemKind::ChecksumMismatch)
                    && damaged < MAX_DAMAGED_UPLOADS => {}
            _ => return Err(error),
        }
    }
}

/// Reports an outcome until the server has responded or the program shuts down.
pub(crate) async fn report_outcome(
    connection: &Connection,
    attempt: AttemptId,
    outcome: Outcome,
) -> Report {
    let mut outcome = outcome;
    loop {
        let send = || connection.client.report_outcome(attempt, &outcome);
        let error = match connection.retry(send).await {
            Ok(accepted) => {
                tracing::debug!(attempt.status = %accepted.status, "reported");
                let settled = Settled::Reported;
                return Report { outcome, settled };
            }
            Err(error) => error,
        };
        let RequestError::Rejected(error) = error else {
            let settled = settled_by(connection, error);
            return Report { outcome, settled };
        };
        tracing::error!(%error, "the server rejected the outcome");
        match outcome {
            // Without a report, the build would wait until its lease expires.
            Outcome::Succeeded { .. } => {
                outcome = rejected_result(&error);
            }
            Outcome::Failed { .. } => {
                let settled = Settled::Reported;
                return Report { outcome, settled };
            }
        }
    }
}

fn settled_by(connection: &Connection, error: RequestError) -> Settled {
    match error {
        RequestError::AttemptEnded => {
            tracing::warn!("the server has ended this attempt; dropping its result");
            Settled::AttemptEnded
        }
        RequestError::Rejected(_) => Settled::Reported,
        RequestError::Denied(error) => {
            connection.denied(error);
            Settled::Pending
        }
        RequestError::ShuttingDown => Settled::Pending,
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::Problem;

    use super::*;

    #[test]
    fn failures_match_snapshot() {
        let error = |kind| {
            ClientError::Refused(Problem {
                kind,
                title: "as the server says".to_owned(),
                status: 422,
                detail: None,
                hint: Some("do what the server says".to_owned()),
                trace_id: None,
            })
        };
        let name = "a-1-1-any.pkg.tar.zst".parse().unwrap();
        let failures = [
            rejected_package(&name, &error(ProblemKind::UnexpectedPackage)),
            rejected_package(&name, &error(ProblemKind::ChecksumMismatch)),
            rejected_result(&error(ProblemKind::InvalidRequest)),
        ];
        let text = failures.map(|failure| match failure {
            Outcome::Failed { kind, explanation } => format!("## {kind}\n{explanation}"),
            Outcome::Succeeded { .. } => panic!("{failure:?}"),
        });
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
