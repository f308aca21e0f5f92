//! Lets a worker whose token was replaced continue the attempts that it claimed with the old token.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{AttemptId, TokenScope, WorkerName};

use crate::db::{Database, TokenId, attempts, tokens};
use crate::error::{Error, Refusal};

use super::attempt_guard::no_attempt;

/// Lets a token report on an attempt that the same worker claimed with another token, once that one is revoked or
/// expired. Repeating the request changes nothing.
///
/// # Errors
/// When there is no such attempt, it belongs to another worker, or its token is still valid.
pub async fn adopt_attempt(
    database: &Database,
    token: TokenId,
    id: AttemptId,
    worker: &WorkerName,
) -> Result<(), Error> {
    let mut tx = database.write().await?;
    let attempt = attempts::by_id(&mut *tx.connection(), id).await?;
    let attempt = attempt.ok_or_else(|| no_attempt(id))?;
    if attempt.token == token {
        tx.undo().await?;
        return Ok(());
    }
    if attempt.worker != *worker {
        tx.undo().await?;
        return Err(of_other_worker(id, worker));
    }
    let before = tokens::by_id(&mut *tx.connection(), attempt.token).await?;
    let now = tx.now();
    let is_held =
        before.is_none_or(|before| before.is_valid(now) || before.scope == TokenScope::Attempt);
    if is_held {
        tx.undo().await?;
        return Err(of_valid_token(id));
    }
    attempts::set_token(&mut tx, id, token).await?;
    tx.commit().await?;
    tracing::info!(attempt.id = %id, worker.name = %worker, "attempt adopted by another token of its worker");
    Ok(())
}

/// Creates the refusal of an attempt that a worker of another name claimed.
pub(super) fn of_other_worker(id: AttemptId, worker: &WorkerName) -> Error {
    let title = format!("attempt {id} does not belong to worker `{worker}`");
    Refusal::new(ProblemKind::Forbidden, title)
        .hint("start the worker with the --name under which it claimed the attempt")
        .into()
}

/// Creates the refusal of an attempt whose own token can still report it.
pub(super) fn of_valid_token(id: AttemptId) -> Error {
    let title = format!("attempt {id} was claimed with another token, which is still valid");
    Refusal::new(ProblemKind::Forbidden, title)
        .hint("revoke that token first")
        .into()
}
