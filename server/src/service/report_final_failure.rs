//! Reports of final failures: retries cannot succeed until a user fixes the cause, such as a permission on the build
//! host. The build ends with the attempt, regardless of the failure kind.

use buildbtw_model::api::{Outcome, OutcomeAccepted, ProblemKind};
use buildbtw_model::{AttemptId, AttemptStatus};

use crate::db::{TokenId, attempts, builds};
use crate::error::Error;
use crate::state::parts::AttemptParts;

use super::attempt_guard::{attempt_ended, own_attempt};
use super::failed_attempt::{remove_uploads, sanitize};
use super::transitions::Transition;

/// Accepts the failure. Repeating the same report changes nothing and gets the same response.
///
/// # Errors
/// When the attempt belongs to another token or has ended with another outcome, or when this is not a failure.
pub(super) async fn report_final_failure(
    parts: AttemptParts<'_>,
    token: TokenId,
    id: AttemptId,
    outcome: &Outcome,
) -> Result<OutcomeAccepted, Error> {
    let Outcome::Failed { kind, explanation } = outcome else {
        let title = "only a failure can be reported as final";
        return Err(Error::refused(ProblemKind::InvalidRequest, title));
    };
    let explanation = sanitize(explanation);
    let permit = parts.reports.acquire().await?;
    let attempt = own_attempt(parts.database, token, id).await?;
    let build = builds::by_id(parts.database.read(), attempt.build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {id} has no build"))?;
    let mut tx = parts.database.write().await?;
    let before = attempts::by_id(tx.connection(), id).await?;
    let is_repeated = before.is_some_and(|row| {
        row.status == AttemptStatus::Failed
            && row.failure == Some(*kind)
            && row.explanation().as_ref() == Some(&explanation)
    });
    let mut transition = Transition::of(tx);
    if !is_repeated
        && !transition
            .fail_permanently(&build, id, *kind, &explanation)
            .await?
    {
        transition.undo().await?;
        return Err(attempt_ended(id));
    }
    let effects = transition.commit().await?;
    drop(permit);
    parts.announcer.announce(effects);
    remove_uploads(parts.repos, id).await;
    parts.logs.close(id).await?;
    Ok(OutcomeAccepted {
        status: AttemptStatus::Failed,
    })
}
