//! The package index and the heads of the default branches, in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use buildbtw_model::{CommitHash, CommitTime, Pkgbase, Sha256Digest, TreeHash, saturating};
use buildbtw_planner::{IndexChange, PackageIndex, SourcePackage, parse_srcinfo};
use buildbtw_telemetry::spawn_blocking_named;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use crate::db::Database;
use crate::db::source_repositories::{self, IndexedRow};
use crate::error::Error;

use super::kind::{Place, SourceKind};

/// The version of the `.SRCINFO` parser. Increase it when the parsed form changes, so that stored texts are parsed
/// again.
pub const PARSER: i64 = 2;

/// The number of stored packages per chunk of the loader.
const ROWS_PER_CHUNK: usize = 512;

/// The commit that a package is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The commit.
    pub commit: CommitHash,
    /// Its tree, if it is known.
    pub tree: Option<TreeHash>,
    /// The commit time, if it is known.
    pub commit_time: Option<CommitTime>,
    /// The URL to fetch it.
    pub clone_url: String,
    /// The digest of its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
}

impl Head {
    /// Returns whether this has the same files as another commit. A commit without a known tree equals only itself.
    #[must_use]
    pub fn has_files_of(&self, commit: &CommitHash, tree: Option<&TreeHash>) -> bool {
        self.commit == *commit || (self.tree.is_some() && self.tree.as_ref() == tree)
    }

    /// Returns what identifies the files: the tree, or the commit if the tree is not known.
    #[must_use]
    pub fn files(&self) -> &str {
        match &self.tree {
            Some(tree) => tree.as_str(),
            None => self.commit.as_str(),
        }
    }
}

/// All usable packages at the heads of their default branches.
#[derive(Clone, Default)]
pub struct Catalog {
    index: PackageIndex,
    heads: HashMap<Pkgbase, Head>,
    by_path: HashMap<String, Pkgbase>,
}

impl Catalog {
    /// Returns the index for the planner.
    #[must_use]
    pub fn index(&self) -> &PackageIndex {
        &self.index
    }

    /// Returns the commit that a package of the index is built from.
    #[must_use]
    pub fn head(&self, pkgbase: &Pkgbase) -> Option<&Head> {
        self.heads.get(pkgbase)
    }

    /// Adds the package of the repository at `path`, or replaces the one of the same pkgbase.
    pub fn put(&mut self, path: &str, package: Arc<SourcePackage>, head: Head) -> IndexChange {
        self.by_path
            .insert(path.to_owned(), package.pkgbase().clone());
        let is_same = |old: &Head| head.has_files_of(&old.commit, old.tree.as_ref());
        let has_same_files = self.heads.get(package.pkgbase()).is_some_and(is_same);
        self.heads.insert(package.pkgbase().clone(), head);
        let mut change = self.index.insert(package);
        if !has_same_files {
            change.note_new_contents();
        }
        change
    }

    /// Removes the package of the repository at `path`.
    pub fn remove_path(&mut self, path: &str) -> Option<IndexChange> {
        let pkgbase = self.by_path.remove(path)?;
        self.heads.remove(&pkgbase);
        self.index.remove(&pkgbase)
    }

    /// Moves the package of a repository to its new path.
    pub(super) fn rename_path(&mut self, from: &str, to: &str) {
        if let Some(pkgbase) = self.by_path.remove(from) {
            self.by_path.insert(to.to_owned(), pkgbase);
        }
    }

    /// Returns the pkgbase of the repository at `path`.
    #[must_use]
    pub fn pkgbase_at(&self, path: &str) -> Option<&Pkgbase> {
        self.by_path.get(path)
    }
}

/// The size up to which parsing a change takes milliseconds only.
const MAX_IN_PLACE_BYTES: usize = 4 << 20;

/// The catalog, shared between readers and the one task that changes it.
#[derive(Clone)]
pub(super) struct SharedCatalog(Arc<RwLock<Current>>);

struct Current {
    catalog: Arc<Catalog>,
    changes: u64,
}

/// An immutable snapshot of the catalog, for long reads.
#[derive(Clone)]
pub struct CatalogSnapshot {
    catalog: Arc<Catalog>,
    changes: u64,
}

impl CatalogSnapshot {
    /// Returns the packages.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Returns how often the catalog had changed since the server started.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

impl SharedCatalog {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self(Arc::new(RwLock::new(Current {
            catalog: Arc::new(catalog),
            changes: 0,
        })))
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        read(&current.catalog)
    }

    /// Returns the current catalog. A snapshot does not block changes, which copy the catalog while one exists.
    pub(super) fn snapshot(&self) -> CatalogSnapshot {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        CatalogSnapshot {
            catalog: Arc::clone(&current.catalog),
            changes: current.changes,
        }
    }

    /// Applies a small change in place, and one of more than [`MAX_IN_PLACE_BYTES`] to a copy: requests read the
    /// catalog on async threads, so the lock must be held for moments only. The watching actor is the only writer.
    ///
    /// `size` estimates the bytes of `.SRCINFO` that the change reads.
    ///
    /// # Errors
    /// When the change panics.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        size: usize,
        change: impl FnOnce(&mut Catalog) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let current = self.snapshot().catalog;
        // One reference is held here and one by the lock; with any other, `make_mut` would copy.
        if size <= MAX_IN_PLACE_BYTES && Arc::strong_count(&current) <= 2 {
            drop(current);
            let mut current = self.write();
            current.changes += 1;
            return Ok(change(Arc::make_mut(&mut current.catalog)));
        }
        let this = self.clone();
        spawn_blocking_named("parse sources", move || {
            let mut next = Catalog::clone(&current);
            let result = change(&mut next);
            let previous = {
                let mut current = this.write();
                current.changes += 1;
                std::mem::replace(&mut current.catalog, Arc::new(next))
            };
            // Dropped after the lock is released: it may be the last reference.
            drop(previous);
            result
        })
        .await
    }

    fn write(&self) -> RwLockWriteGuard<'_, Current> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads the catalog from the database. Only texts that an older parser has read are parsed.
///
/// One thread reads the rows while another inserts those that were read.
pub(super) async fn load(
    database: &Database,
    kind: &Arc<dyn SourceKind>,
) -> Result<Catalog, Error> {
    let started = std::time::Instant::now();
    let (sender, mut receiver) = mpsc::channel::<Vec<IndexedRow>>(8);
    let kind = Arc::clone(kind);
    let loader = spawn_blocking_named("load sources", move || {
        let mut catalog = Catalog::default();
        while let Some(rows) = receiver.blocking_recv() {
            for row in rows {
                catalog.insert_stored(&*kind, row);
            }
        }
        catalog
    });
    let mut rows =
        source_repositories::indexed(database.read(), PARSER).ready_chunks(ROWS_PER_CHUNK);
    while let Some(rows) = rows.next().await {
        let rows = rows.into_iter().collect::<sqlx::Result<Vec<_>>>()?;
        if sender.send(rows).await.is_err() {
            // The loader panicked; awaiting it below returns the error.
            break;
        }
    }
    drop(sender);
    let catalog = loader.await?;
    tracing::info!(
        index.packages = catalog.heads.len(),
        elapsed_ms = saturating::<u64, _>(started.elapsed().as_millis()),
        "loaded the package index"
    );
    Ok(catalog)
}

impl Catalog {
    /// Inserts a stored package.
    fn insert_stored(&mut self, kind: &dyn SourceKind, row: IndexedRow) {
        let package = match row.outdated {
            None => SourcePackage::from_stored(row.parsed),
            Some(text) => parse_srcinfo(&text),
        };
        let package = match package {
            Ok(package) => Arc::new(package),
            Err(error) => {
                let path = row.path;
                tracing::error!(path, %error, "cannot parse a stored .SRCINFO; its package is left out");
                return;
            }
        };
        let clone_url = kind.clone_url(Place {
            path: &row.path,
            http_url: row.http_url.as_deref(),
            ssh_url: row.ssh_url.as_deref(),
        });
        let head = Head {
            commit: row.commit,
            tree: row.tree,
            commit_time: row.commit_time,
            clone_url,
            srcinfo_sha256: row.srcinfo_sha256,
        };
        self.put(&row.path, package, head);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Runs a change that ends when a request has read the catalog, or panics after a timeout.
    async fn change_during_a_request(catalog: &SharedCatalog, size: usize) {
        let (has_read, wait) = std::sync::mpsc::channel();
        let change = catalog.change(size, move |_| wait.recv_timeout(Duration::from_secs(120)));
        let request = async {
            catalog.read(|_| ());
            has_read.send(()).unwrap();
        };
        let (changed, ()) = tokio::join!(change, request);
        changed.unwrap().unwrap();
    }

    #[tokio::test]
    async fn serves_requests_during_large_change() {
        let catalog = SharedCatalog::new(Catalog::default());
        change_during_a_request(&catalog, MAX_IN_PLACE_BYTES + 1).await;
        assert_eq!(catalog.snapshot().changes(), 1);
    }

    #[tokio::test]
    async fn serves_requests_while_a_plan_holds_the_catalog() {
        let catalog = SharedCatalog::new(Catalog::default());
        let plan = catalog.snapshot();
        change_during_a_request(&catalog, 0).await;
        assert_eq!(plan.changes(), 0);
        assert_eq!(catalog.snapshot().changes(), 1);
    }
}
