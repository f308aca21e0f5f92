//! Stores a chunk of a build's log.

use buildbtw_model::AttemptId;
use buildbtw_model::api::{LogAppended, ProblemKind};

use crate::db::TokenId;
use crate::error::{Error, Refusal};
use crate::state::parts::AttemptParts;

use super::attempt_guard::active_attempt;

/// Appends a chunk that belongs at `offset`.
///
/// # Errors
/// When the attempt has ended or belongs to another token, or the log is too long.
pub async fn append_log(
    parts: AttemptParts<'_>,
    token: TokenId,
    id: AttemptId,
    offset: u64,
    chunk: &[u8],
) -> Result<LogAppended, Error> {
    let permit = parts.reports.acquire().await?;
    active_attempt(parts.database, token, id).await?;
    drop(permit);
    if offset.saturating_add(chunk.len() as u64) > parts.config.max_log_bytes {
        return Err(too_long(parts.config.max_log_bytes));
    }
    let length = parts.logs.append(id, offset, chunk).await?;
    parts.announcer.metrics.builds.logged(chunk.len());
    Ok(LogAppended { length })
}

/// Creates the refusal of a log above the size limit.
pub(super) fn too_long(limit: u64) -> Error {
    let title = format!("the log is longer than {} MiB", limit >> 20);
    Refusal::new(ProblemKind::TooLarge, title)
        .hint("ask the operator to raise --max-log-mib")
        .into()
}
