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
        .ok_or_else(|| Error::not_found(format!("attempt {id}")))?;
    if attempt.token == token {
        Ok(attempt)
    } else {
        Err(Error::refused(
            ProblemKind::Forbidden,
            "this attempt was claimed with another token",
        ))
    }
}

/// Like [`own_attempt`], but refuses attempts that have ended.
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
        .hint("its lease expired, it was cancelled, or its outcome has already been reported")
        .into()
}
