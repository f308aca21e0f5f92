//! Stores the PKGBUILD that an attempt built with, next to its log.

use buildbtw_model::AttemptId;

use crate::db::{Database, TokenId};
use crate::error::Error;
use crate::logs::Logs;

use super::attempt_guard::active_attempt;

/// Stores the PKGBUILD; storing it again replaces it.
///
/// # Errors
/// When the attempt has ended or belongs to another token, or the disk fails.
pub async fn store_pkgbuild(
    database: &Database,
    logs: &Logs,
    token: TokenId,
    id: AttemptId,
    text: &[u8],
) -> Result<(), Error> {
    active_attempt(database, token, id).await?;
    Ok(logs.store_pkgbuild(id, text).await?)
}
