//! Claims builds from the server.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use buildbtw_agent::connection::{self, ErrorClass, classify};
use buildbtw_model::ClaimId;
use buildbtw_model::api::{ClaimRequest, ClaimedBuild};
use buildbtw_model::client::ClientError;

use crate::context::Context;
use crate::error::WorkerError;
use crate::token;

/// A server without a build responds after the requested wait. After earlier responses (while it shuts down), the
/// worker backs off instead of repeating the claim immediately.
const MIN_WAIT: Duration = Duration::from_millis(500);

/// Returns the id of an open claim: one of an earlier run, or a new one.
pub(crate) fn next_id(context: &Context) -> ClaimId {
    let mut open = context
        .open_claims
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(claim) = open.pop() {
        return claim;
    }
    let claim = ClaimId::new();
    // Without the record, a build may wait until its lease expires if this process is killed now.
    if let Err(error) = context.scratch.add_claim(claim) {
        tracing::warn!(%error, "cannot record a claim");
    }
    claim
}

/// Removes the record of a claim.
pub(crate) fn remove(context: &Context, claim: ClaimId) {
    if let Err(error) = context.scratch.remove_claim(claim) {
        tracing::warn!(%error, "cannot remove the record of a claim");
    }
}

/// Waits for a build. Returns `None` when the claim's attempt has ended already. Cancel-safe: the claim can be repeated
/// with the same id.
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
        machine: Some(context.machine.clone()),
        load: context.agent.connection.load(),
        wait_s: context.claim_wait_s,
    };
    let mut backoff = connection::backoff();
    loop {
        let sent = Instant::now();
        match context.agent.connection.client.claim(&request).await {
            Ok(Some(claimed)) => {
                context.agent.connection.record_success();
                return Ok(Some(claimed));
            }
            Ok(None) => {
                context.agent.connection.record_success();
                if sent.elapsed() < MIN_WAIT {
                    tokio::time::sleep(backoff.next_pause()).await;
                } else {
                    backoff = connection::backoff();
                }
            }
            Err(error) => match decide(context, error).await? {
                Decision::Drop => return Ok(None),
                // The caller notices a shutdown by itself.
                Decision::Retry(error) => {
                    if context
                        .agent
                        .connection
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

/// What to do after a failed claim.
enum Decision {
    /// Drop the claim: its attempt has ended, or belongs to another token.
    Drop,
    /// Retry the claim after a pause.
    Retry(ClientError),
}

/// Decides whether to retry a failed claim.
///
/// # Errors
/// When no later claim can succeed.
async fn decide(context: &Context, error: ClientError) -> Result<Decision, WorkerError> {
    let server = || context.agent.connection.client.server().to_owned();
    match (classify(&error), &error) {
        // An unexpected response stays so when the claim is retried, and stopping here loses no result.
        (_, ClientError::UnexpectedResponse { .. }) | (ErrorClass::Rejected, _) => {
            Err(WorkerError::Rejected {
                server: server(),
                error,
            })
        }
        (ErrorClass::Denied, _)
            if token::is_forbidden(&error) && token::may_claim(context).await =>
        {
            tracing::warn!(%error, "dropping a claim of another token");
            Ok(Decision::Drop)
        }
        (ErrorClass::Denied, _) => Err(WorkerError::Denied {
            server: server(),
            error,
        }),
        (ErrorClass::AttemptEnded, _) => Ok(Decision::Drop),
        (ErrorClass::Transient, _) => Ok(Decision::Retry(error)),
    }
}
