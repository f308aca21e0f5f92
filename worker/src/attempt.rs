//! One attempt from the claim to the answered outcome.

use std::sync::Arc;

use buildbtw_builder::{BuildOutcome, BuildRequest};
use buildbtw_model::api::{ClaimedBuild, Outcome, ReportedPackage};
use buildbtw_model::{ClaimId, FailureKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::deliver::{self, Delivery};
use crate::log_file::LogFile;
use crate::request::build_request;
use crate::scratch::AttemptFolder;
use crate::signals::{Signals, Stop};
use crate::slot;
use crate::worker::Context;

/// Builds what was claimed and reports it.
pub(crate) async fn run(context: &Arc<Context>, claim: ClaimId, claimed: ClaimedBuild) {
    let begun = context.scratch.begin(claimed.attempt).and_then(|folder| {
        let log = LogFile::open(&folder.log())?;
        Ok((folder, log))
    });
    let (folder, log) = match begun {
        Ok((folder, log)) => (folder, Arc::new(log)),
        Err(error) => {
            // Without a place for its log the build cannot run; the server shall hear that at once.
            tracing::error!(%error, "cannot prepare the attempt");
            let message = format!("the worker's scratch folder: {error}");
            deliver::failure(context, claimed.attempt, message).await;
            return slot::forget(context, claim);
        }
    };
    slot::forget(context, claim);
    tracing::info!(build.version = %claimed.version, "building");
    let signals = Arc::new(Signals::default());
    let delivery = Delivery::start(context, folder, log, signals, claimed.lease_s);
    let outcome = build(context, &claimed, &delivery).await;
    delivery.log.close();
    if delivery.signals.stopped() == Some(Stop::Ended) {
        tracing::warn!("the server has given this attempt up; dropping it");
        return delivery.discard().await;
    }
    match &outcome {
        Outcome::Succeeded { packages } => tracing::info!(packages = packages.len(), "built"),
        Outcome::Failed { kind, message } => {
            tracing::warn!(failure.kind = %kind, failure.message = message, "failed");
        }
    }
    delivery.finish(outcome, true).await;
}

async fn build(context: &Arc<Context>, claimed: &ClaimedBuild, delivery: &Delivery) -> Outcome {
    let request = build_request(claimed, context.packager.as_deref(), &context.limits);
    let task = tokio::spawn(
        build_task(
            Arc::clone(context),
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
        () = context.phases.kill.cancelled() => {
            delivery.signals.stop(Stop::Shutdown);
            task.await
        }
    };
    let outcome = ended.unwrap_or_else(|error| {
        tracing::error!(%error, "the builder panicked");
        BuildOutcome::failed(FailureKind::Infrastructure, "the builder crashed")
    });
    to_report(outcome, delivery.signals.stopped())
}

async fn build_task(
    context: Arc<Context>,
    request: BuildRequest,
    folder: AttemptFolder,
    log: Arc<LogFile>,
    stop: CancellationToken,
) -> BuildOutcome {
    context
        .builder
        .build(&request, &folder.packages(), &*log, stop)
        .await
}

/// What the server hears. A build that was done before it could be stopped counts as done.
fn to_report(outcome: BuildOutcome, stopped: Option<Stop>) -> Outcome {
    let failed = |kind, message: &str| Outcome::Failed {
        kind,
        message: message.into(),
    };
    match (outcome, stopped) {
        (BuildOutcome::Succeeded { packages, notes }, _) => {
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
        (BuildOutcome::Failed { .. }, Some(Stop::Shutdown)) => {
            failed(FailureKind::Infrastructure, "worker shut down")
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
    fn why_a_build_was_stopped_decides_what_is_reported() {
        let failed = || BuildOutcome::failed(FailureKind::Cancelled, "killed");
        let kind = |outcome| match outcome {
            Outcome::Failed { kind, .. } => Some(kind),
            Outcome::Succeeded { .. } => None,
        };
        let report = |stop| kind(to_report(failed(), stop));
        assert_eq!(
            report(Some(Stop::Shutdown)),
            Some(FailureKind::Infrastructure)
        );
        assert_eq!(report(Some(Stop::Cancelled)), Some(FailureKind::Cancelled));
        let done = BuildOutcome::Succeeded {
            packages: vec![],
            notes: vec![],
        };
        assert_eq!(kind(to_report(done, Some(Stop::Shutdown))), None);
    }
}
