//! Looks at the repositories of the folder, and finds what changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
/// How often a long look says how far it has come: the first one holds the server's start up.
const WORD_EVERY: Duration = Duration::from_secs(5);

impl Directory {
    /// Looks at all repositories of the folder and forgets those that are gone.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub(crate) async fn scan_all(self: &Arc<Self>, sources: &Sources) -> Result<(), Error> {
        let this = Arc::clone(self);
        let paths =
            tokio::task::spawn_blocking(move || repositories::repositories(&this.folder)).await??;
        let (known, gone) = source_repositories::all(sources.database.read())
            .await?
            .into_iter()
            .partition(|row| paths.binary_search(&row.path).is_ok());
        sources.store(Vec::new(), gone).await?;
        let changed = self.look_and_store(sources, paths, known).await?;
        if !sources.status.snapshot().complete {
            let mut tx = sources.database.write().await?;
            source_progress::record_finished(&mut tx, None).await?;
            tx.commit().await?;
        }
        sources.status.looked_at_all();
        sources.tell(SourceEvent::Swept);
        if changed > 0 {
            tracing::info!(
                sources.changed = changed,
                "looked at all source repositories"
            );
        }
        Ok(())
    }

    /// Looks at some repositories of the folder again.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn scan_some(
        self: &Arc<Self>,
        sources: &Sources,
        paths: Vec<String>,
    ) -> Result<(), Error> {
        let known = source_repositories::at_paths(sources.database.read(), &paths).await?;
        let (present, gone): (Vec<_>, Vec<_>) = paths
            .into_iter()
            .partition(|path| repositories::git_dir(&self.folder.join(path)).is_some());
        let (gone, known) = known.into_iter().partition(|row| gone.contains(&row.path));
        sources.store(Vec::new(), gone).await?;
        let touched = present.clone();
        let changed = self.look_and_store(sources, present, known).await?;
        let touched = source_repositories::at_paths(sources.database.read(), &touched).await?;
        // Refs other than the default branch may have moved too.
        let pkgbases = sources.pkgbases_of(&touched).await?;
        sources.tell(SourceEvent::Touched(pkgbases));
        if changed > 0 {
            tracing::info!(sources.changed = changed, "source repositories changed");
        }
        Ok(())
    }

    async fn look_and_store(
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
        let mut last_word = Instant::now();
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
            let found = tokio::task::spawn_blocking(move || {
                let looked = batch
                    .into_iter()
                    .filter_map(|(path, known)| this.look(&path, known.as_ref()));
                looked.collect::<Vec<_>>()
            })
            .await?;
            changed += found.len();
            sources.store(found, Vec::new()).await?;
            if paths.len() > 0 && last_word.elapsed() >= WORD_EVERY {
                last_word = Instant::now();
                tracing::info!(
                    sources.looked_at = all - paths.len(),
                    sources.all = all,
                    "looking at the source repositories"
                );
            }
        }
        Ok(changed)
    }

    /// Looks at one repository; `None` when it is as it was.
    fn look(&self, path: &str, known: Option<&SourceRepositoryRow>) -> Option<Found> {
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
                // What was read once at a commit stays as it is; a failure may not.
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
                    Ok(tree) => found.enter(tree, |path, pkgbase| self.misnamed(path, pkgbase)),
                }
            }
        }
        (!known.is_some_and(|known| found.is(known))).then_some(found)
    }
}
