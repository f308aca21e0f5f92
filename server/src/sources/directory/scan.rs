//! Reads the repositories of the folder, and stores what changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_telemetry::spawn_blocking_named;
use tokio::time::Instant;

use crate::db::source_progress;
use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::Error;
use crate::sources::kind::SourceKind as _;
use crate::sources::store::Found;
use crate::sources::{SourceEvent, Sources};

use super::folder::Directory;
use super::{git, repositories};

/// How many changed repositories are stored in one transaction.
const BATCH: usize = 200;
/// The interval of log lines during a long scan: the first one delays the start of the server.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

impl Directory {
    /// Reads all repositories of the folder, and removes those that are gone.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub(crate) async fn scan_all(self: &Arc<Self>, sources: &Sources) -> Result<(), Error> {
        let this = Arc::clone(self);
        let paths = spawn_blocking_named("list repositories", move || {
            repositories::repositories(&this.folder)
        })
        .await??;
        let (known, removed) = source_repositories::all(sources.database.read())
            .await?
            .into_iter()
            .partition(|row| paths.binary_search(&row.path).is_ok());
        sources.store(Vec::new(), removed).await?;
        let changed = self.read_and_store(sources, paths, known).await?;
        if !sources.status.snapshot().complete {
            let mut tx = sources.database.write().await?;
            source_progress::record_finished(&mut tx, None).await?;
            tx.commit().await?;
        }
        sources.status.resync_finished();
        sources.emit(SourceEvent::Resynced);
        if changed > 0 {
            tracing::info!(
                sources.changed = changed,
                "finished a full resync of the folder"
            );
        }
        Ok(())
    }

    /// Reads some repositories of the folder again.
    ///
    /// # Errors
    /// When a repository is gone because the whole folder is, or the database cannot be used.
    pub(crate) async fn scan_some(
        self: &Arc<Self>,
        sources: &Sources,
        paths: Vec<String>,
    ) -> Result<(), Error> {
        let known = source_repositories::at_paths(sources.database.read(), &paths).await?;
        let (present, removed): (Vec<_>, Vec<_>) = paths
            .into_iter()
            .partition(|path| repositories::git_dir(&self.folder.join(path)).is_some());
        if !removed.is_empty() {
            // A folder that is not mounted says nothing about its repositories.
            drop(fs_err::tokio::read_dir(&self.folder).await?);
        }
        let (removed, known) = known
            .into_iter()
            .partition(|row| removed.contains(&row.path));
        sources.store(Vec::new(), removed).await?;
        let touched = present.clone();
        let changed = self.read_and_store(sources, present, known).await?;
        let touched = source_repositories::at_paths(sources.database.read(), &touched).await?;
        // Refs other than the default branch may have moved too.
        let pkgbases = sources.pkgbases_of(&touched).await?;
        sources.emit(SourceEvent::Touched(pkgbases));
        if changed > 0 {
            tracing::info!(sources.changed = changed, "source repositories changed");
        }
        Ok(())
    }

    async fn read_and_store(
        self: &Arc<Self>,
        sources: &Sources,
        paths: Vec<String>,
        known: Vec<SourceRepositoryRow>,
    ) -> Result<usize, Error> {
        let mut known: BTreeMap<String, SourceRepositoryRow> = known
            .into_iter()
            .map(|row| (row.path.clone(), row))
            .collect();
        let all = paths.len();
        let mut changed = 0;
        let mut last_progress = Instant::now();
        let mut paths = paths.into_iter().peekable();
        while paths.peek().is_some() {
            let batch: Vec<_> = paths
                .by_ref()
                .take(BATCH)
                .map(|path| {
                    let known = known.remove(&path);
                    (path, known)
                })
                .collect();
            let this = Arc::clone(self);
            let found = spawn_blocking_named("scan repository", move || {
                let scanned = batch
                    .into_iter()
                    .filter_map(|(path, known)| this.read_repository(&path, known.as_ref()));
                scanned.collect::<Vec<_>>()
            })
            .await?;
            changed += found.len();
            sources.store(found, Vec::new()).await?;
            if paths.len() > 0 && last_progress.elapsed() >= PROGRESS_INTERVAL {
                last_progress = Instant::now();
                tracing::info!(
                    sources.read = all - paths.len(),
                    sources.all = all,
                    "reading the source repositories"
                );
            }
        }
        Ok(changed)
    }

    /// Reads one repository; returns `None` when it is unchanged.
    pub(super) fn read_repository(
        &self,
        path: &str,
        known: Option<&SourceRepositoryRow>,
    ) -> Option<Found> {
        let full_path: &Path = &self.folder.join(path);
        let mut found = Found::at(path);
        match git::default_branch(full_path) {
            Err(error) => {
                found.row.problem = Some((&error).into());
                if let git::GitError::Unborn { branch, .. } = error {
                    found.row.branch = Some(branch);
                }
            }
            Ok(default) => {
                // The content of a commit cannot change, but the cause of a failure can.
                let settled = |known: &&SourceRepositoryRow| {
                    known.problem.is_none() || known.pkgbase.is_some()
                };
                if known.filter(settled).is_some_and(|known| {
                    known.tree.is_some()
                        && known.commit.as_ref() == Some(&default.commit)
                        && known.branch.as_deref() == Some(&default.branch)
                }) {
                    return None;
                }
                found.row.branch = Some(default.branch);
                found.row.commit = Some(default.commit.clone());
                match git::read_commit(full_path, &default.commit) {
                    Err(error) => found.row.problem = Some((&error).into()),
                    Ok(tree) => {
                        found.set_tree(tree, |path, pkgbase| self.name_problem(path, pkgbase));
                    }
                }
            }
        }
        (!known.is_some_and(|known| found.is_unchanged_from(known))).then_some(found)
    }
}
