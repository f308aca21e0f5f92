//! Asks the server for a build until there is one.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use buildbtw_agent::link::{self, Verdict, judge};
use buildbtw_model::ClaimId;
use buildbtw_model::api::{ClaimRequest, ClaimedBuild};
use buildbtw_model::client::ClientError;

use crate::context::Context;
use crate::error::WorkerError;
use crate::token;

/// A server that has no build answers after the wait it was asked for. One that answers earlier (it
/// shuts down) must not be asked again at once, over and over.
const EARLY: Duration = Duration::from_millis(500);

/// Returns a claim without an answer: one of an earlier run, or a new one.
pub(crate) fn next(context: &Context) -> ClaimId {
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

/// Waits for a build. `None` when this claim's attempt is already over. Safe to drop: the claim can be
/// repeated with the same id.
pub(crate) async fn wait(
    context: &Context,
    claim: ClaimId,
) -> Result<Option<ClaimedBuild>, WorkerError> {
    let request = ClaimRequest {
        claim,
        worker: context.name.clone(),
        architectures: context.architectures.clone(),
        jobs: context.jobs,
        protocols: context.protocols.clone(),
        wait_s: context.claim_wait_s,
    };
    let mut backoff = link::backoff();
    loop {
        let asked = Instant::now();
        match context.agent.link.client.claim(&request).await {
            Ok(Some(claimed)) => {
                context.agent.link.answered();
                return Ok(Some(claimed));
            }
            Ok(None) => {
                context.agent.link.answered();
                if asked.elapsed() < EARLY {
                    tokio::time::sleep(backoff.next_pause()).await;
                } else {
                    backoff = link::backoff();
                }
            }
            Err(error) => match judge_claim(context, error).await? {
                Again::No => return Ok(None),
                // Leaving: whoever waits for this sees it by itself.
                Again::After(error) => {
                    if context
                        .agent
                        .link
                        .pause(&mut backoff, &error)
                        .await
                        .is_err()
                    {
                        return Ok(None);
                    }
                }
            },
        }
    }
}

/// Whether a failed claim is repeated.
enum Again {
    /// The attempt is over, or belongs to another token.
    No,
    /// After a pause for this reason.
    After(ClientError),
}

/// Decides whether a failed claim is repeated. Returns an error when no later claim can succeed.
async fn judge_claim(context: &Context, error: ClientError) -> Result<Again, WorkerError> {
    let server = || context.agent.link.client.server().to_owned();
    match (judge(&error), &error) {
        // Nothing is lost by stopping here, and repeating it would not make it readable.
        (_, ClientError::UnexpectedResponse { .. }) | (Verdict::Refused, _) => {
            Err(WorkerError::Refused {
                server: server(),
                source: error,
            })
        }
        (Verdict::Denied, _) if token::is_forbidden(&error) && token::may_claim(context).await => {
            tracing::warn!(%error, "dropping a claim that was made with another token");
            Ok(Again::No)
        }
        (Verdict::Denied, _) => Err(WorkerError::Denied {
            server: server(),
            source: error,
        }),
        (Verdict::Ended, _) => Ok(Again::No),
        (Verdict::Again, _) => Ok(Again::After(error)),
    }
}
