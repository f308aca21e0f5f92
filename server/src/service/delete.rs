//! `delete`: removes a namespace, its repositories and its logs. Packages that other namespaces have reused are kept
//! for those, with the logs of the attempts that built them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{AttemptId, NamespaceName};

use crate::db::iterations::IterationRow;
use crate::db::{
    WriteTransaction, attempts, builds, iterations, namespaces, retired_packages, reuse,
};
use crate::error::{Error, Refusal};
use crate::state::AppState;

use super::read::find::find_namespace;

/// Removes a namespace. Workers that build for it learn of it from the response to their next request.
///
/// # Errors
/// When there is no such namespace, or another one is about to take over packages of it.
pub async fn delete(state: &AppState, name: &NamespaceName) -> Result<(), Error> {
    let namespace = find_namespace(&state.database, name).await?;
    let mut tx = state.database.write().await?;
    let mut gone = Vec::new();
    for iteration in iterations::of_namespace(&mut *tx.connection(), namespace.id).await? {
        gone.extend(delete_iteration(&mut tx, &iteration).await?);
    }
    namespaces::delete(&mut tx, namespace.id).await?;
    tx.commit().await?;
    // The ids of its deleted tokens may be reused.
    state.token_cache.clear();
    tracing::info!(namespace.name = name.as_str(), "deleted namespace");
    state.replans.forget(namespace.id);
    if let Some(pipelines) = &state.pipelines {
        pipelines.stop();
    }
    // Its followers notice that it was deleted.
    state.changes.notify([namespace.id]);
    remove_files(state, vec![state.repos.folder_of(name, None)], gone).await
}

/// Removes the rows of an iteration, and returns the attempts that were removed with it.
///
/// # Errors
/// When packages of it were accepted for a build of another iteration, but are not published there yet.
pub(super) async fn delete_iteration(
    tx: &mut WriteTransaction,
    iteration: &IterationRow,
) -> Result<Vec<AttemptId>, Error> {
    if builds::has_open_sharers(&mut *tx.connection(), iteration.id).await? {
        return Err(Refusal::new(
            ProblemKind::Conflict,
            format!(
                "another build is taking over packages of iteration {} of `{}`",
                iteration.number, iteration.namespace
            ),
        )
        .hint("try again in a moment")
        .into());
    }
    builds::detach_finished_sharers(tx, iteration.id).await?;
    reuse::record_origins(tx, iteration.id).await?;
    retired_packages::retire(tx, iteration.id).await?;
    attempts::reassign_to_sharers(tx, iteration.id).await?;
    let gone = attempts::ids_of_iteration(&mut *tx.connection(), iteration.id).await?;
    iterations::delete(tx, iteration.id).await?;
    Ok(gone)
}

/// Removes the files of rows that were deleted. What a crash leaves is removed at the next start.
pub(super) async fn remove_files(
    state: &AppState,
    folders: Vec<PathBuf>,
    attempts: Vec<AttemptId>,
) -> Result<(), Error> {
    let repos = state.repos.clone();
    let removing = repos.clone();
    tokio::task::spawn_blocking(move || removing.remove(&folders)).await??;
    for attempt in attempts {
        state.logs.remove(attempt).await?;
        match fs_err::tokio::remove_dir_all(repos.uploads(attempt)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Removes files without rows, which a crash during a deletion leaves.
///
/// # Errors
/// When the database or the disk fails.
pub(super) async fn remove_orphans(state: &AppState) -> Result<(), Error> {
    let reader = state.database.read();
    let mut known: BTreeMap<NamespaceName, BTreeSet<u32>> = BTreeMap::new();
    for namespace in namespaces::all(reader).await? {
        let kept = iterations::of_namespace(reader, namespace.id).await?;
        let numbers = kept.iter().map(|iteration| iteration.number).collect();
        known.insert(namespace.name, numbers);
    }
    let mut folders = Vec::new();
    for name in state.repos.namespaces()? {
        let Some(kept) = known.get(&name) else {
            tracing::info!(
                namespace.name = name.as_str(),
                "removing leftover files of a deleted namespace"
            );
            folders.push(state.repos.folder_of(&name, None));
            continue;
        };
        for number in state.repos.iterations(&name)? {
            if !kept.contains(&number) {
                tracing::info!(
                    namespace.name = name.as_str(),
                    iteration.number = number,
                    "removing leftover files of a deleted iteration"
                );
                folders.push(state.repos.folder_of(&name, Some(number)));
            }
        }
    }
    let mut gone = Vec::new();
    for attempt in state.logs.all()? {
        if attempts::by_id(reader, attempt).await?.is_none() {
            gone.push(attempt);
        }
    }
    remove_files(state, folders, gone).await
}
