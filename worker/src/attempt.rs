//! Runs one attempt from the claim to the reported outcome, and removes its folder.

use std::io;
use std::sync::Arc;

use buildbtw_agent::{AttemptFolder, LogFile, Report, Settled};
use buildbtw_model::ClaimId;
use buildbtw_model::api::ClaimedBuild;
use buildbtw_telemetry::spawn_blocking_named;

use crate::claim;
use crate::context::Context;

/// Builds a claimed build and reports its outcome.
pub(crate) async fn run(context: &Arc<Context>, claim: ClaimId, claimed: ClaimedBuild) {
    let created = context
        .scratch
        .create_attempt(claimed.attempt)
        .and_then(|folder| {
            let log = LogFile::open(&folder.log())?;
            Ok((folder, log))
        });
    let (folder, log) = match created {
        Ok((folder, log)) => (folder, Arc::new(log)),
        Err(error) => {
            // The build cannot run without its log. Reporting it now avoids waiting until the lease expires.
            tracing::error!(%error, "cannot create the attempt's folder");
            context
                .agent
                .fail(claimed.attempt, not_writable(&error))
                .await;
            return claim::remove(context, claim);
        }
    };
    claim::remove(context, claim);
    let running = context.metrics.begin();
    let report = context.agent.run(&claimed, &folder, log, true).await;
    running.end(&report.outcome);
    remove_if_settled(folder, &report).await;
}

/// Returns the message of an attempt that has no folder.
pub(crate) fn not_writable(error: &io::Error) -> String {
    format!("cannot write to the worker's scratch folder: {error}")
}

/// Removes the folder of a settled attempt. Others are kept for the next start.
pub(crate) async fn remove_if_settled(folder: AttemptFolder, report: &Report) {
    match report.settled {
        Settled::Reported | Settled::AttemptEnded => remove(folder).await,
        Settled::Pending => tracing::warn!("the outcome will be reported at the next start"),
    }
}

/// Removes the folder of an attempt.
pub(crate) async fn remove(folder: AttemptFolder) {
    let removed = spawn_blocking_named("remove attempt", move || folder.remove()).await;
    if let Ok(Err(error)) = removed {
        tracing::error!(%error, "cannot remove the attempt's folder");
    }
}
