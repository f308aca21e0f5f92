//! Finds builds with the same inputs: finished ones in any namespace, and those that the namespace is
//! working on.

use crate::app_state::AppState;
use crate::db::{NamespaceId, builds, packages};
use crate::error::Error;
use crate::service::report_outcome::repository_of;

use super::draft::Draft;

/// Gives every draft the packages of a finished build with the same input hash, if there is one and
/// its files are there; else lets it wait for one that is being built.
pub(super) async fn find(
    state: &AppState,
    namespace: Option<NamespaceId>,
    drafts: &mut [Draft],
) -> Result<(), Error> {
    for draft in drafts {
        let Some(hash) = &draft.input_hash else {
            continue;
        };
        if let Some(namespace) = namespace
            && let Some(active) =
                builds::active_with_hash(state.database.read(), namespace, hash).await?
        {
            draft.version = active.version;
            draft.awaited = Some(active.id);
            continue;
        }
        let Some(found) = builds::finished_with_hash(state.database.read(), hash).await? else {
            continue;
        };
        let Some(attempt) = found.packages_attempt_id else {
            continue;
        };
        let folder = state.repos.folder(&repository_of(&found));
        let mut complete = true;
        for package in packages::of_attempt(state.database.read(), attempt).await? {
            let path = folder.join(package.file_name.as_str());
            complete &= fs_err::tokio::try_exists(path).await?;
        }
        if complete {
            draft.reused = Some((attempt, found.version));
        }
    }
    Ok(())
}
