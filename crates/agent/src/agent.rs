//! Runs an attempt: builds the package of a claim and reports the outcome.

use std::sync::{Arc, OnceLock};

use buildbtw_builder::{BuildOutcome, BuildRequest, Builder, Limits};
use buildbtw_model::api::{ClaimedBuild, Outcome, ReportedPackage};
use buildbtw_model::{AttemptId, Explanation, FailureKind, Packager};
use buildbtw_telemetry::spawn_named;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::connection::Connection;
use crate::deliver::{self, Delivery, Report, Settled};
use crate::folder::AttemptFolder;
use crate::heartbeat::ASSUMED_LEASE_S;
use crate::log_file::LogFile;
use crate::request::build_request;
use crate::signals::{Signals, StopReason};

/// The state that all attempts of a program share.
#[derive(Debug)]
pub struct Agent {
    /// The connection to the server.
    pub connection: Arc<Connection>,
    /// The builder of packages.
    pub builder: Builder,
    /// `PACKAGER` of the packages, in place of the server's.
    pub packager: Option<Packager>,
    /// Resource limits of one build. The server sets the time limit.
    pub limits: Limits,
    /// The way in which the program itself stops builds.
    pub interrupt: Interrupt,
}

/// The stop of all builds by the program, and the failure that is reported for them.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// Cancelled to stop running builds.
    pub now: CancellationToken,
    /// The failure kind of stopped builds.
    pub kind: FailureKind,
    /// The failure message of stopped builds.
    pub message: &'static str,
    /// Replaces kind and message when a more precise reason is known.
    pub reason: Arc<OnceLock<(FailureKind, &'static str)>>,
}

impl Agent {
    /// Builds a claimed build and reports its outcome. With `save`, the outcome is also saved in the folder, for
    /// [`Agent::resume`] after a crash. The caller removes the folder.
    pub async fn run(
        self: &Arc<Self>,
        claimed: &ClaimedBuild,
        folder: &AttemptFolder,
        log: Arc<LogFile>,
        save: bool,
    ) -> Report {
        tracing::info!(build.version = %claimed.version, "building");
        let signals = Arc::new(Signals::default());
        let delivery = Delivery::start(
            &self.connection,
            folder.clone(),
            log,
            signals,
            claimed.lease_s,
        );
        let outcome = self.build(claimed, &delivery).await;
        delivery.log.close();
        match &outcome {
            Outcome::Succeeded { packages } => tracing::info!(packages = packages.len(), "built"),
            Outcome::Failed { kind, explanation } => {
                tracing::warn!(failure.kind = %kind, failure.message = %explanation, "failed");
            }
        }
        if delivery.signals.stop_reason() == Some(StopReason::Ended) {
            tracing::warn!("the server has ended this attempt; dropping it");
            return Report {
                outcome,
                settled: Settled::AttemptEnded,
            };
        }
        delivery.finish(outcome, save).await
    }

    /// Reports the outcome of an attempt that an earlier run of the program left behind. `log` must be
    /// closed.
    pub async fn resume(
        self: &Arc<Self>,
        folder: &AttemptFolder,
        log: Arc<LogFile>,
        outcome: Outcome,
        save: bool,
    ) -> Report {
        let signals = Arc::new(Signals::default());
        let delivery = Delivery::start(
            &self.connection,
            folder.clone(),
            log,
            signals,
            ASSUMED_LEASE_S,
        );
        delivery.finish(outcome, save).await
    }

    /// Reports that an attempt could not start.
    pub async fn fail(&self, attempt: AttemptId, explanation: impl Into<Explanation>) -> Report {
        let outcome = Outcome::failed(FailureKind::Infrastructure, explanation);
        deliver::report_outcome(&self.connection, attempt, outcome).await
    }

    async fn build(self: &Arc<Self>, claimed: &ClaimedBuild, delivery: &Delivery) -> Outcome {
        let request = build_request(claimed, self.packager.as_ref(), &self.limits);
        let task = spawn_named(
            "build",
            build_task(
                Arc::clone(self),
                request,
                delivery.folder.clone(),
                Arc::clone(&delivery.log),
                delivery.signals.stop.clone(),
            )
            .in_current_span(),
        );
        let mut task = AbortOnDropHandle::new(task);
        let result = tokio::select! {
            result = &mut task => result,
            () = self.interrupt.now.cancelled() => {
                delivery.signals.stop(StopReason::Interrupted);
                task.await
            }
        };
        let outcome = result.unwrap_or_else(|error| {
            tracing::error!(%error, "the builder panicked");
            BuildOutcome::failed(FailureKind::Infrastructure, "the builder crashed")
        });
        if let BuildOutcome::Succeeded {
            pkgbuild: Some(path),
            ..
        } = &outcome
            && let Err(error) = fs_err::rename(path, delivery.folder.pkgbuild())
        {
            tracing::warn!(%error, "cannot keep the PKGBUILD");
        }
        outcome_to_report(outcome, delivery.signals.stop_reason(), &self.interrupt)
    }
}

async fn build_task(
    agent: Arc<Agent>,
    request: BuildRequest,
    folder: AttemptFolder,
    log: Arc<LogFile>,
    stop: CancellationToken,
) -> BuildOutcome {
    agent
        .builder
        .build(&request, &folder.packages(), &*log, stop)
        .await
}

/// Returns the outcome for the server. A build that finished before it could be stopped counts as finished.
fn outcome_to_report(
    outcome: BuildOutcome,
    stopped: Option<StopReason>,
    interrupt: &Interrupt,
) -> Outcome {
    match (outcome, stopped) {
        (
            BuildOutcome::Succeeded {
                packages, notes, ..
            },
            _,
        ) => {
            for note in notes {
                tracing::info!(note);
            }
            let packages = packages
                .into_iter()
                .map(|package| ReportedPackage {
                    file_name: package.file_name,
                    sha256: package.sha256,
                })
                .collect();
            Outcome::Succeeded { packages }
        }
        (BuildOutcome::Failed { .. }, Some(StopReason::Interrupted)) => {
            let default = (interrupt.kind, interrupt.message);
            let (kind, message) = interrupt.reason.get().copied().unwrap_or(default);
            Outcome::failed(kind, message)
        }
        (BuildOutcome::Failed { .. }, Some(StopReason::Cancelled | StopReason::Ended)) => {
            Outcome::failed(FailureKind::Cancelled, "cancelled")
        }
        (BuildOutcome::Failed { kind, explanation }, None) => Outcome::failed(kind, explanation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_stopped_build_by_its_stop_reason() {
        let interrupt = Interrupt {
            now: CancellationToken::new(),
            kind: FailureKind::Infrastructure,
            message: "stopped",
            reason: Arc::default(),
        };
        let failed = || BuildOutcome::failed(FailureKind::Cancelled, "killed");
        let kind = |outcome| match outcome {
            Outcome::Failed { kind, .. } => Some(kind),
            Outcome::Succeeded { .. } => None,
        };
        let report = |stop| kind(outcome_to_report(failed(), stop, &interrupt));
        assert_eq!(
            report(Some(StopReason::Interrupted)),
            Some(FailureKind::Infrastructure)
        );
        assert_eq!(
            report(Some(StopReason::Cancelled)),
            Some(FailureKind::Cancelled)
        );
        let reason = Arc::new(OnceLock::from((FailureKind::Timeout, "why")));
        let explained = Interrupt {
            reason,
            ..interrupt.clone()
        };
        let why = kind(outcome_to_report(
            failed(),
            Some(StopReason::Interrupted),
            &explained,
        ));
        assert_eq!(why, Some(FailureKind::Timeout));
        let done = BuildOutcome::Succeeded {
            packages: vec![],
            notes: vec![],
            pkgbuild: None,
        };
        assert_eq!(
            kind(outcome_to_report(
                done,
                Some(StopReason::Interrupted),
                &interrupt
            )),
            None
        );
    }
}
