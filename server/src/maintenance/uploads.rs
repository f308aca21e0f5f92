//! Uploaded packages that no repository holds yet: those of attempts that have not ended, and those that were accepted
//! and are still to be published.

use std::path::PathBuf;

use buildbtw_model::{AttemptId, BuildId};
use sqlx::SqlitePool;

use crate::db::builds::{self, BuildRow};
use crate::db::{attempts, packages};
use crate::repos::{Repos, RepositoryKey};
use crate::time::Millis;

/// An uploaded package.
pub(super) struct Uploaded {
    /// The build that it was built for.
    pub(super) build: BuildId,
    /// Its path among the uploads, which the database expects.
    pub(super) path: PathBuf,
    /// Its path in the repository, where it is as soon as it is published.
    pub(super) published: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whether it was accepted. The worker of an attempt that has not ended sends a package again whose upload was not
    /// confirmed.
    pub(super) is_accepted: bool,
}

/// Returns the packages of which the database expects the files among the uploads.
pub(super) async fn uploaded(reader: &SqlitePool, repos: &Repos) -> sqlx::Result<Vec<Uploaded>> {
    let mut found = Vec::new();
    for (attempt, build) in uploading(reader).await? {
        let repository = repos.folder(&RepositoryKey::of(&build));
        for package in packages::of_attempt(reader, attempt).await? {
            let name = package.file_name.as_str();
            found.push(Uploaded {
                build: build.id,
                path: repos.uploads(attempt).join(name),
                published: repository.join(name),
                size: package.size,
                is_accepted: build.packages_attempt_id == Some(attempt),
            });
        }
    }
    Ok(found)
}

/// Returns the attempts that may have uploads, with the builds that they were created for.
async fn uploading(reader: &SqlitePool) -> sqlx::Result<Vec<(AttemptId, BuildRow)>> {
    // The lease of every attempt that has not ended expires at some time.
    let active = attempts::expired(reader, Millis(i64::MAX)).await?;
    let mut found = Vec::new();
    for attempt in active {
        let build = builds::by_id(reader, attempt.build).await?;
        found.extend(build.map(|build| (attempt.id, build)));
    }
    for build in builds::unpublished(reader).await? {
        let Some(attempt) = build.packages_attempt_id else {
            continue;
        };
        // Packages that a build takes over from another one are among the uploads of that one.
        let own = attempts::by_id(reader, attempt).await?;
        if own.is_some_and(|attempt| attempt.build == build.id) {
            found.push((attempt, build));
        }
    }
    Ok(found)
}
