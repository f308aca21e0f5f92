//! Finds builds with the same input hash: finished ones in any namespace, and running ones in this one. The
//! assignment of versions decides which of them fit.

use std::collections::BTreeMap;

use crate::db::{Database, builds, packages, retired_packages};
use crate::error::Error;
use crate::repos::{Repos, RepositoryKey};

use super::draft::{Draft, Reusable};
use super::plan_input::PlanInput;

/// Adds to every draft the finished builds with the same input hash whose files exist, and the running one.
pub(super) async fn find(
    database: &Database,
    repos: &Repos,
    input: &PlanInput,
    drafts: &mut [Draft],
) -> Result<(), Error> {
    let reader = database.read();
    let namespace = input.namespace;
    // In this order: a build that ends between the queries is in at least one result.
    let active = match namespace {
        Some(namespace) => builds::active_by_hash(reader, namespace).await?,
        None => BTreeMap::new(),
    };
    let hashes: Vec<_> = drafts
        .iter()
        .filter_map(|draft| draft.input_hash.as_ref())
        .collect();
    let finished = builds::finished_hashes(reader, &hashes).await?;
    for draft in drafts {
        let Some(hash) = &draft.input_hash else {
            continue;
        };
        draft.awaited = active.get(hash).cloned();
        if !finished.contains(hash) {
            continue;
        }
        for found in builds::finished_with_hash(reader, hash, namespace).await? {
            let Some(attempt) = found.packages_attempt_id else {
                continue;
            };
            let folder = repos.folder(&RepositoryKey::of(&found));
            let mut complete = true;
            for package in packages::of_attempt(reader, attempt).await? {
                let path = folder.join(package.file_name.as_str());
                complete &= fs_err::tokio::try_exists(path).await?;
            }
            if complete {
                // Packages that a deleted namespace of the same name served count as own: the same bytes may be served
                // there again.
                let is_own = namespace == Some(found.namespace_id)
                    || match &input.name {
                        Some(name) => retired_packages::were_served(reader, name, attempt).await?,
                        None => false,
                    };
                draft.reusable.push(Reusable {
                    attempt,
                    namespace: found.namespace,
                    version: found.version,
                    is_own,
                });
            }
        }
    }
    Ok(())
}
