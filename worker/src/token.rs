//! A worker whose token was replaced: what it had claimed with the old one is handed over, or dropped.

use buildbtw_agent::AttemptFolder;
use buildbtw_agent::link::Refusal;
use buildbtw_model::TokenScope;
use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::ClientError;

use crate::context::Context;

/// What becomes of an attempt of an earlier run.
pub(crate) enum Fate {
    /// Its result is reported.
    Report,
    /// It is another token's for good: the server gives its build to somebody else when the lease ends.
    Drop,
    /// The server cannot be asked any more.
    Keep,
}

/// Asks the server whether this worker's token may report on an attempt of an earlier run, and has it
/// handed over if it was claimed with a token that is not valid any more.
pub(crate) async fn fate(context: &Context, folder: &AttemptFolder) -> Fate {
    let link = &context.agent.link;
    let attempt = folder.attempt();
    match link.persist(|| link.client.heartbeat(attempt)).await {
        Err(Refusal::Denied(error)) if is_forbidden(&error) => {}
        Err(Refusal::Denied(error)) => {
            link.denied(error);
            return Fate::Keep;
        }
        Err(Refusal::Leaving) => return Fate::Keep,
        // An attempt that is over is noticed when it is reported.
        Ok(_) | Err(Refusal::Ended | Refusal::Refused(_)) => return Fate::Report,
    }
    let adopt = || link.client.adopt_attempt(attempt, &context.name);
    match link.persist(adopt).await {
        Ok(()) => {
            tracing::info!("took over what was claimed with a token that is not valid any more");
            Fate::Report
        }
        Err(Refusal::Ended) => Fate::Report,
        Err(Refusal::Leaving) => Fate::Keep,
        Err(Refusal::Refused(error) | Refusal::Denied(error)) => {
            if may_claim(context).await {
                tracing::warn!(%error, "dropping an attempt that was claimed with another token");
                return Fate::Drop;
            }
            link.denied(error);
            Fate::Keep
        }
    }
}

/// Whether an answer says that something is not this token's, or that this token is no worker's.
pub(crate) fn is_forbidden(error: &ClientError) -> bool {
    error.problem_kind() == Some(ProblemKind::Forbidden)
}

/// Whether this worker's token is valid and one of a worker: then what it was refused is another's.
pub(crate) async fn may_claim(context: &Context) -> bool {
    let link = &context.agent.link;
    let identity = link.persist(|| link.client.identity()).await;
    identity.is_ok_and(|identity| identity.scope.allows(TokenScope::Worker))
}
