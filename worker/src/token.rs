//! Handles attempts of an earlier run whose token was replaced: the worker adopts or drops them.

use buildbtw_agent::AttemptFolder;
use buildbtw_agent::connection::RequestError;
use buildbtw_model::TokenScope;
use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::ClientError;

use crate::context::Context;

/// What to do with an attempt of an earlier run.
pub(crate) enum Decision {
    /// Report its outcome.
    Report,
    /// Drop it: it belongs to another token, and the server requeues its build when the lease expires.
    Drop,
    /// Keep it for the next start: the program shuts down, or its token was rejected.
    Keep,
}

/// Checks whether this worker's token may report an attempt of an earlier run. Adopts the attempt if its token is no
/// longer valid.
pub(crate) async fn decide(context: &Context, folder: &AttemptFolder) -> Decision {
    let connection = &context.agent.connection;
    let attempt = folder.attempt();
    match connection
        .retry(|| connection.client.heartbeat(attempt))
        .await
    {
        Err(RequestError::Denied(error)) if is_forbidden(&error) => {}
        Err(RequestError::Denied(error)) => {
            connection.denied(error);
            return Decision::Keep;
        }
        Err(RequestError::ShuttingDown) => return Decision::Keep,
        // An ended attempt is detected when its outcome is reported.
        Ok(_) | Err(RequestError::AttemptEnded | RequestError::Rejected(_)) => {
            return Decision::Report;
        }
    }
    let adopt = || connection.client.adopt_attempt(attempt, &context.name);
    match connection.retry(adopt).await {
        Ok(()) => {
            tracing::info!("adopted an attempt whose token is no longer valid");
            Decision::Report
        }
        Err(RequestError::AttemptEnded) => Decision::Report,
        Err(RequestError::ShuttingDown) => Decision::Keep,
        Err(RequestError::Rejected(error) | RequestError::Denied(error)) => {
            if may_claim(context).await {
                tracing::warn!(%error, "dropping an attempt of another token");
                return Decision::Drop;
            }
            connection.denied(error);
            Decision::Keep
        }
    }
}

/// Returns whether an attempt belongs to another token, or the token lacks the scope `worker`.
pub(crate) fn is_forbidden(error: &ClientError) -> bool {
    error.problem_kind() == Some(ProblemKind::Forbidden)
}

/// Returns whether this worker's token is valid and has the scope `worker`. A forbidden attempt then belongs to another
/// token.
pub(crate) async fn may_claim(context: &Context) -> bool {
    let connection = &context.agent.connection;
    let identity = connection.retry(|| connection.client.identity()).await;
    identity.is_ok_and(|identity| identity.scope.allows(TokenScope::Worker))
}
