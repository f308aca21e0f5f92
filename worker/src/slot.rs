//! One build at a time: claims it, runs it, claims the next.

use std::sync::{Arc, PoisonError};

use buildbtw_model::ClaimId;
use tracing::Instrument as _;

use crate::worker::Context;
use crate::{attempt, claim};

/// Works until the worker stops claiming.
pub(crate) async fn run(context: Arc<Context>) {
    while !context.phases.drain.is_cancelled() {
        let claim = next_claim(&context);
        let claimed = tokio::select! {
            claimed = claim::wait(&context, claim) => claimed,
            () = context.phases.drain.cancelled() => return,
        };
        match claimed {
            Ok(Some(claimed)) => {
                let span = tracing::info_span!(
                    "attempt",
                    attempt.id = %claimed.attempt,
                    build.pkgbase = %claimed.pkgbase,
                    build.architecture = %claimed.architecture,
                    namespace.name = %claimed.namespace,
                );
                attempt::run(&context, claim, claimed)
                    .instrument(span)
                    .await;
            }
            // Its attempt is over by now: on to a new claim.
            Ok(None) => forget(&context, claim),
            Err(error) => return context.phases.fail(error),
        }
    }
}

fn next_claim(context: &Context) -> ClaimId {
    let mut open = context
        .open_claims
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(claim) = open.pop() {
        return claim;
    }
    let claim = ClaimId::new();
    // Without the note a build may wait for its lease to run out if this process is killed now.
    if let Err(error) = context.scratch.add_claim(claim) {
        tracing::warn!(%error, "cannot note a claim");
    }
    claim
}

/// Removes the note of a claim that was answered.
pub(crate) fn forget(context: &Context, claim: ClaimId) {
    if let Err(error) = context.scratch.remove_claim(claim) {
        tracing::warn!(%error, "cannot remove the note of a claim");
    }
}
