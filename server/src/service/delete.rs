//! `delete`: removes a namespace, its repositories and its logs. Packages that other namespaces have reused are kept
//! for those, with the logs of the attempts that built them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{ActivityKind, AttemptId, NamespaceName};
use buildbtw_telemetry::spawn_blocking_named;

use crate::db::activity::{self, NewActivity};
use crate::db::iterations::IterationRow;
use crate::db::{
    Database, WriteTransaction, attempts, builds, iterations, namespaces, retired_packages, reuse,
    work,
};
use crate::error::{Error, Refusal};
use crate::logs::Logs;
use crate::principal::Principal;
use crate::repos::Repos;
use crate::state::announcer::Announcer;
use crate::state::parts::DeletionParts;
use crate::state::replans::Replans;

use super::read::find::{deleted_meanwhile, find_namespace};

/// Removes a namespace. Workers that build for it learn of it from the response to their next request.
///
/// # Errors
/// When there is no such namespace, or another one is about to take over packages of it.
pub async fn delete(
    parts: DeletionParts<'_>,
    announcer: &Announcer,
    replans: &Replans,
    by: &Principal,
    name: &NamespaceName,
) -> Result<(), Error> {
    let namespace = find_namespace(parts.database, name).await?;
    let mut tx = parts.database.write().await?;
    let mut removed = Vec::new();
    // Its running attempts go with it, but were work all the same.
    work::record_unfinished(&mut tx, namespace.id).await?;
    for iteration in iterations::of_namespace(&mut *tx.connection(), namespace.id).await? {
        removed.extend(delete_iteration(&mut tx, &iteration).await?);
    }
    if !namespaces::delete(&mut tx, namespace.id).await? {
        tx.undo().await?;
        return Err(deleted_meanwhile(name));
    }
    let deleted = NewActivity {
        kind: ActivityKind::Deleted,
        actor: Some(&by.name),
        namespace: Some(name),
        worker: None,
        message: None,
    };
    activity::insert(&mut tx, &deleted).await?;
    tx.commit().await?;
    // The ids of its deleted tokens may be reused.
    parts.token_cache.clear();
    tracing::info!(
        namespace.name = name.as_str(),
        by = by.name,
        "deleted namespace"
    );
    replans.forget(namespace.id);
    announcer.announce_deletion(namespace.id);
    let folder = parts.repos.folder_of(name, None);
    remove_files(parts.repos, parts.logs, vec![folder], removed).await
}

/// Creates the refusal to delete packages that a build of another iteration reuses, but has not published yet.
pub(super) fn in_use(iteration: u32, namespace: &NamespaceName) -> Error {
    Refusal::new(
        ProblemKind::Conflict,
        format!("another build is reusing packages of iteration {iteration} of `{namespace}`"),
    )
    .hint("try again in a moment")
    .into()
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
        return Err(in_use(iteration.number, &iteration.namespace));
    }
    builds::detach_finished_sharers(tx, iteration.id).await?;
    reuse::record_origins(tx, iteration.id).await?;
    retired_packages::retire(tx, iteration.id).await?;
    attempts::reassign_to_sharers(tx, iteration.id).await?;
    let removed = attempts::ids_of_iteration(&mut *tx.connection(), iteration.id).await?;
    iterations::delete(tx, iteration.id).await?;
    Ok(removed)
}

/// Removes the files of rows that were deleted. What a crash leaves is removed at the next start.
pub(super) async fn remove_files(
    repos: &Repos,
    logs: &Logs,
    folders: Vec<PathBuf>,
    attempts: Vec<AttemptId>,
) -> Result<(), Error> {
    let removing = repos.clone();
    spawn_blocking_named("delete folders", move || removing.remove(&folders)).await??;
    for attempt in attempts {
        logs.remove(attempt).await?;
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
pub(super) async fn remove_orphans(
    database: &Database,
    repos: &Repos,
    logs: &Logs,
) -> Result<(), Error> {
    let reader = database.read();
    let mut known: BTreeMap<NamespaceName, BTreeSet<u32>> = BTreeMap::new();
    for namespace in namespaces::all(reader).await? {
        let kept = iterations::of_namespace(reader, namespace.id).await?;
        let numbers = kept.iter().map(|iteration| iteration.number).collect();
        known.insert(namespace.name, numbers);
    }
    let mut folders = Vec::new();
    for name in repos.namespaces()? {
        let Some(kept) = known.get(&name) else {
            tracing::info!(
                namespace.name = name.as_str(),
                "removing leftover files of a deleted namespace"
            );
            folders.push(repos.folder_of(&name, None));
            continue;
        };
        for number in repos.iterations(&name)? {
            if !kept.contains(&number) {
                tracing::info!(
                    namespace.name = name.as_str(),
                    iteration.number = number,
                    "removing leftover files of a deleted iteration"
                );
                folders.push(repos.folder_of(&name, Some(number)));
            }
        }
    }
    let mut removed = Vec::new();
    for attempt in logs.all()? {
        if attempts::by_id(reader, attempt).await?.is_none() {
            removed.push(attempt);
        }
    }
    remove_files(repos, logs, folders, removed).await
}
