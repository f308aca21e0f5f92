//! The package index and the heads of the default branches, in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use buildbtw_model::{CommitHash, Pkgbase, Sha256Digest};
use buildbtw_planner::{IndexChange, PackageIndex, SourcePackage, parse_srcinfo};

use crate::db::{Database, source_repositories, srcinfos};
use crate::error::Error;

use super::git;

/// The number of the `.SRCINFO` parser. Raise it when the parsed form changes: stored texts are
/// read again then.
pub const PARSER: i64 = 1;

/// Where a package is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The commit.
    pub commit: CommitHash,
    /// When it was committed, in seconds.
    pub commit_time: i64,
    /// Where to fetch it.
    pub clone_url: String,
    /// Its `.SRCINFO`.
    pub srcinfo_sha256: Sha256Digest,
}

/// All usable packages at the heads of their default branches.
#[derive(Default)]
pub struct Catalog {
    index: PackageIndex,
    heads: HashMap<Pkgbase, Head>,
    by_path: HashMap<String, Pkgbase>,
}

impl Catalog {
    /// The planner's view of it.
    #[must_use]
    pub fn index(&self) -> &PackageIndex {
        &self.index
    }

    /// Where a package of the index is built from.
    #[must_use]
    pub fn head(&self, pkgbase: &Pkgbase) -> Option<&Head> {
        self.heads.get(pkgbase)
    }

    /// Adds the package of the repository at `path`, or replaces the one of the same pkgbase.
    pub fn put(&mut self, path: &str, package: Arc<SourcePackage>, head: Head) -> IndexChange {
        self.by_path
            .insert(path.to_owned(), package.pkgbase().clone());
        self.heads.insert(package.pkgbase().clone(), head);
        self.index.insert(package)
    }

    /// Removes the package of the repository at `path`.
    pub fn remove_path(&mut self, path: &str) -> Option<IndexChange> {
        let pkgbase = self.by_path.remove(path)?;
        self.heads.remove(&pkgbase);
        self.index.remove(&pkgbase)
    }

    /// The pkgbase of the repository at `path`.
    #[must_use]
    pub fn pkgbase_at(&self, path: &str) -> Option<&Pkgbase> {
        self.by_path.get(path)
    }
}

/// The catalog, shared between readers and the one task that changes it.
#[derive(Clone)]
pub(super) struct SharedCatalog(Arc<RwLock<Catalog>>);

impl SharedCatalog {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self(Arc::new(RwLock::new(catalog)))
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Catalog) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Loads the catalog from the database, parsing only what an older parser has read.
pub(super) async fn load(database: &Database, folder: &Path) -> Result<Catalog, Error> {
    let started = std::time::Instant::now();
    let rows = source_repositories::all(database.read()).await?;
    let srcinfos = srcinfos::all_indexed(database.read()).await?;
    let folder = folder.to_owned();
    let catalog = tokio::task::spawn_blocking(move || {
        let mut parsed = HashMap::with_capacity(srcinfos.len());
        for row in srcinfos {
            let package = if row.parser == PARSER {
                SourcePackage::from_stored(row.parsed).ok()
            } else {
                parse_srcinfo(&row.text).ok()
            };
            if let Some(package) = package {
                parsed.insert(row.sha256, Arc::<SourcePackage>::new(package));
            }
        }
        let mut catalog = Catalog::default();
        for row in rows {
            let (Some(commit), Some(sha256), None) = (row.commit, row.srcinfo_sha256, row.problem)
            else {
                continue;
            };
            if let Some(package) = parsed.get(&sha256) {
                let head = Head {
                    commit,
                    commit_time: row.commit_time.unwrap_or_default(),
                    clone_url: git::clone_url(&folder, &row.path),
                    srcinfo_sha256: sha256,
                };
                catalog.put(&row.path, Arc::clone(package), head);
            }
        }
        catalog
    })
    .await?;
    tracing::info!(
        index.packages = catalog.heads.len(),
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "loaded the package index"
    );
    Ok(catalog)
}
