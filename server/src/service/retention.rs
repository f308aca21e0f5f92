//! Retention: keeps the newest iterations of every namespace, and the newest complete one; removes older ones with
//! their packages and logs.

use crate::db::iterations::IterationRow;
use crate::db::namespaces::NamespaceRow;
use crate::db::{builds, iterations, namespaces, packages, work};
use crate::error::Error;
use crate::state::parts::DeletionParts;

use super::delete::{delete_iteration, remove_files};

/// Removes old iterations in all namespaces that have more than `keep`, and work that counts for no share any more.
///
/// # Errors
/// When the database or the disk fails.
pub async fn prune(parts: DeletionParts<'_>, keep: Option<usize>) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    work::remove_old(&mut tx).await?;
    tx.commit().await?;
    let Some(keep) = keep else {
        return Ok(());
    };
    for namespace in namespaces::all(parts.database.read()).await? {
        let all = iterations::of_namespace(parts.database.read(), namespace.id).await?;
        if all.len() <= keep {
            continue;
        }
        let complete = iterations::newest_done(parts.database.read(), namespace.id).await?;
        let complete = complete.map(|iteration| iteration.id);
        for iteration in all.iter().skip(keep) {
            if Some(iteration.id) != complete {
                remove(parts, &namespace, iteration).await?;
            }
        }
    }
    Ok(())
}

/// Removes an iteration, unless it is still needed; a later run tries again.
async fn remove(
    parts: DeletionParts<'_>,
    namespace: &NamespaceRow,
    iteration: &IterationRow,
) -> Result<(), Error> {
    let mut tx = parts.database.write().await?;
    if builds::can_progress(&mut tx, iteration.id).await? {
        return Ok(());
    }
    packages::keep_versions(&mut tx, iteration.id).await?;
    let removed = match delete_iteration(&mut tx, iteration).await {
        Ok(removed) => removed,
        Err(Error::Refused(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    tx.commit().await?;
    // The ids of its deleted tokens may be reused.
    parts.token_cache.clear();
    tracing::info!(
        namespace.name = namespace.name.as_str(),
        iteration.number = iteration.number,
        "removed old iteration"
    );
    let folder = parts
        .repos
        .folder_of(&namespace.name, Some(iteration.number));
    remove_files(parts.repos, parts.logs, vec![folder], removed).await
}
