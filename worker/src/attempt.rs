//! One attempt from the claim to the answered outcome, and what becomes of its folder.

use std::sync::Arc;

use buildbtw_agent::{AttemptFolder, LogFile, Report, Settled};
use buildbtw_model::ClaimId;
use buildbtw_model::api::ClaimedBuild;

use crate::claim;
use crate::context::Context;

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
            context.agent.fail(claimed.attempt, message).await;
            return claim::forget(context, claim);
        }
    };
    claim::forget(context, claim);
    let report = context.agent.run(&claimed, &folder, log, true).await;
    conclude(folder, &report).await;
}

/// Forgets an attempt that is settled; keeps the others for the next start.
pub(crate) async fn conclude(folder: AttemptFolder, report: &Report) {
    match report.settled {
        Settled::Yes | Settled::Ended => forget(folder).await,
        Settled::NotYet => tracing::warn!("not reported yet; left for the next start"),
    }
}

/// Removes what is left of an attempt.
pub(crate) async fn forget(folder: AttemptFolder) {
    let removed = tokio::task::spawn_blocking(move || folder.remove()).await;
    if let Ok(Err(error)) = removed {
        tracing::error!(%error, "cannot remove the attempt's folder");
    }
}
