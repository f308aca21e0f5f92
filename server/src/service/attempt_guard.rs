//! Who may report on an attempt, and until when.

use buildbtw_model::AttemptId;
use buildbtw_model::api::ProblemKind;

use crate::db::attempts::AttemptRow;
use crate::db::{Database, TokenId, attempts};
use crate::error::{Error, Refusal};

/// Returns the attempt with this id, ended or not, if this token may report on it.
///
/// # Errors
/// When there is none, or it was claimed with another token.
pub(crate) async fn own_attempt(
    database: &Database,
    token: TokenId,
    id: AttemptId,
) -> Result<AttemptRow, Error> {
    let attempt = attempts::by_id(database.read(), id)
        .await?
        .ok_or_else(|| no_attempt(id))?;
    check_owner(attempt.token, token)?;
    Ok(attempt)
}

/// Checks that an attempt was claimed with a token.
///
/// # Errors
/// When it was claimed with another one.
pub(crate) fn check_owner(owner: TokenId, token: TokenId) -> Result<(), Error> {
    if owner == token {
        return Ok(());
    }
    let title = "this attempt was claimed with another token";
    Err(Refusal::new(ProblemKind::Forbidden, title)
        .hint("send the token that claimed it")
        .into())
}

/// Creates the refusal of a report on an attempt that does not exist.
pub(crate) fn no_attempt(id: AttemptId) -> Error {
    Error::not_found(format!("attempt {id}"))
        .hint("the page of a build lists its attempts; those of a deleted namespace are gone")
}

/// Returns the attempt as [`own_attempt`] does, but refuses attempts that have ended.
///
/// # Errors
/// When there is none, it was claimed with another token, or has ended.
pub(crate) async fn active_attempt(
    database: &Database,
    token: TokenId,
    id: AttemptId,
) -> Result<AttemptRow, Error> {
    let attempt = own_attempt(database, token, id).await?;
    if attempt.status.is_final() {
        Err(attempt_ended(id))
    } else {
        Ok(attempt)
    }
}

/// Creates the refusal of a report on an attempt that has ended.
pub(crate) fn attempt_ended(id: AttemptId) -> Error {
    Refusal::new(ProblemKind::AttemptEnded, format!("attempt {id} has ended"))
        .detail("its lease expired, it was cancelled, or its outcome was reported before")
        .hint("stop this build; the server has already decided what happens next")
        .into()
}
