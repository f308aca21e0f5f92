//! Runs an attempt: builds what was claimed and reports what came of it.

use std::sync::{Arc, OnceLock};

use buildbtw_builder::{BuildOutcome, BuildRequest, Builder, Limits};
use buildbtw_model::api::{ClaimedBuild, Outcome, ReportedPackage};
use buildbtw_model::{AttemptId, FailureKind, Packager};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::deliver::{self, Delivery, Report, Settled};
use crate::folder::AttemptFolder;
use crate::heartbeat::UNKNOWN_LEASE_S;
use crate::link::Link;
use crate::log_file::LogFile;
use crate::request::build_request;
use crate::signals::{Signals, Stop};

/// What all attempts of a program share.
#[derive(Debug)]
pub struct Agent {
    /// The server.
    pub link: Arc<Link>,
    /// How packages are built.
    pub builder: Builder,
    /// `PACKAGER` of the packages, when it is not what the server says.
    pub packager: Option<Packager>,
    /// What one build may use; the server says how long it may take.
    pub limits: Limits,
    /// How the program itself stops builds.
    pub interrupt: Interrupt,
}

/// How a program stops builds before their end, and what the server hears then.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// Fires when running builds shall stop.
    pub now: CancellationToken,
    /// The kind of failure they are reported as.
    pub kind: FailureKind,
    /// What is said about it.
    pub message: &'static str,
    /// Replaces both where it turned out why.
    pub known: Arc<OnceLock<(FailureKind, &'static str)>>,
}

impl Agent {
    /// Builds what was claimed and reports it. With `save` the outcome is written into the folder, for
    /// [`Agent::resume`] after a crash. The folder stays; it is the caller's to remove.
    pub async fn run(
        self: &Arc<Self>,
        claimed: &ClaimedBuild,
        folder: &AttemptFolder,
        log: Arc<LogFile>,
        save: bool,
    ) -> Report {
        tracing::info!(build.version = %claimed.version, "building");
        let signals = Arc::new(Signals::default());
        let delivery = Delivery::start(&self.link, folder.clone(), log, signals, claimed.lease_s);
        let outcome = self.build(claimed, &delivery).await;
        delivery.log.close();
        match &outcome {
            Outcome::Succeeded { packages } => tracing::info!(packages = packages.len(), "built"),
            Outcome::Failed { kind, message } => {
                tracing::warn!(failure.kind = %kind, failure.message = message, "failed");
            }
        }
        if delivery.signals.stopped() == Some(Stop::Ended) {
            tracing::warn!("the server has given this attempt up; dropping it");
            return Report {
                outcome,
                settled: Settled::Ended,
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
        let delivery = Delivery::start(&self.link, folder.clone(), log, signals, UNKNOWN_LEASE_S);
        delivery.finish(outcome, save).await
    }

    /// Reports that an attempt could not even begin.
    pub async fn fail(&self, attempt: AttemptId, message: String) -> Report {
        let outcome = Outcome::Failed {
            kind: FailureKind::Infrastructure,
            message,
        };
        deliver::report_outcome(&self.link, attempt, outcome).await
    }

    async fn build(self: &Arc<Self>, claimed: &ClaimedBuild, delivery: &Delivery) -> Outcome {
        let request = build_request(claimed, self.packager.as_ref(), &self.limits);
        let task = tokio::spawn(
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
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = self.interrupt.now.cancelled() => {
                delivery.signals.stop(Stop::Interrupted);
                task.await
            }
        };
        let outcome = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "the builder panicked");
            BuildOutcome::failed(FailureKind::Infrastructure, "the builder crashed")
        });
        if let BuildOutcome::Succeeded {
            pkgbuild: Some(path),
            ..
        } = &outcome
            && let Err(error) = fs_err::rename(path, delivery.folder.pkgbuild())
        {
            tracing::warn!(%error, "the PKGBUILD is not kept");
        }
        to_report(outcome, delivery.signals.stopped(), &self.interrupt)
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

/// What the server hears. A build that was done before it could be stopped counts as done.
fn to_report(outcome: BuildOutcome, stopped: Option<Stop>, interrupt: &Interrupt) -> Outcome {
    let failed = |kind, message: &str| Outcome::Failed {
        kind,
        message: message.into(),
    };
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
        (BuildOutcome::Failed { .. }, Some(Stop::Interrupted)) => {
            let usual = (interrupt.kind, interrupt.message);
            let (kind, message) = interrupt.known.get().copied().unwrap_or(usual);
            failed(kind, message)
        }
        (BuildOutcome::Failed { .. }, Some(Stop::Cancelled | Stop::Ended)) => {
            failed(FailureKind::Cancelled, "cancelled")
        }
        (BuildOutcome::Failed { kind, message }, None) => Outcome::Failed { kind, message },
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
            known: Arc::default(),
        };
        let failed = || BuildOutcome::failed(FailureKind::Cancelled, "killed");
        let kind = |outcome| match outcome {
            Outcome::Failed { kind, .. } => Some(kind),
            Outcome::Succeeded { .. } => None,
        };
        let report = |stop| kind(to_report(failed(), stop, &interrupt));
        assert_eq!(
            report(Some(Stop::Interrupted)),
            Some(FailureKind::Infrastructure)
        );
        assert_eq!(report(Some(Stop::Cancelled)), Some(FailureKind::Cancelled));
        let known = Arc::new(OnceLock::from((FailureKind::Timeout, "why")));
        let better = Interrupt {
            known,
            ..interrupt.clone()
        };
        let why = kind(to_report(failed(), Some(Stop::Interrupted), &better));
        assert_eq!(why, Some(FailureKind::Timeout));
        let done = BuildOutcome::Succeeded {
            packages: vec![],
            notes: vec![],
            pkgbuild: None,
        };
        assert_eq!(
            kind(to_report(done, Some(Stop::Interrupted), &interrupt)),
            None
        );
    }
}
