//! Looks at repositories and stores what changed: first in the database, then in the catalog.

use std::collections::BTreeMap;
use std::sync::Arc;

use buildbtw_model::Sha256Digest;
use buildbtw_planner::SourcePackage;

use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::db::srcinfos::{self, SrcinfoRow};
use crate::db::{Database, WriteTransaction};
use crate::error::Error;

use super::catalog::{Head, PARSER};
use super::{SourceEvent, Sources, directory, git};

/// How many changed repositories are stored in one transaction.
const BATCH: usize = 200;

/// What a look at a repository found.
struct Found {
    row: SourceRepositoryRow,
    /// The text and its reading, when the repository can be used.
    package: Option<(String, SourcePackage)>,
}

impl Sources {
    /// Looks at all repositories of the folder and forgets those that are gone.
    ///
    /// # Errors
    /// When the folder or the database cannot be read.
    pub async fn scan_all(&self) -> Result<(), Error> {
        let folder = self.folder.clone();
        let paths = tokio::task::spawn_blocking(move || directory::repositories(&folder)).await??;
        let known = source_repositories::all(self.database.read()).await?;
        for row in &known {
            if paths.binary_search(&row.path).is_err() {
                self.forget(row).await?;
            }
        }
        let changed = self.look_and_store(paths, known).await?;
        if let Ok(mut last) = self.last_scan.lock() {
            *last = Some(jiff::Timestamp::now());
        }
        self.tell(SourceEvent::Swept);
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
    pub async fn scan_some(&self, paths: Vec<String>) -> Result<(), Error> {
        let known = source_repositories::all(self.database.read()).await?;
        let (mut present, gone): (Vec<_>, Vec<_>) = paths
            .into_iter()
            .partition(|path| directory::git_dir(&self.folder.join(path)).is_some());
        for path in gone {
            if let Some(row) = known.iter().find(|row| row.path == path) {
                self.forget(row).await?;
                // Another one that claims the same pkgbase may have it now.
                let same = known.iter().filter(|other| other.path != path);
                let same =
                    same.filter(|other| row.pkgbase.is_some() && other.pkgbase == row.pkgbase);
                present.extend(same.map(|other| other.path.clone()));
            }
        }
        let touched = present.clone();
        let changed = self.look_and_store(present, known).await?;
        // Refs other than the default branch may have moved too.
        let pkgbases = self.with_catalog(|catalog| {
            let pkgbases = touched.iter().filter_map(|path| catalog.pkgbase_at(path));
            pkgbases.cloned().collect()
        });
        self.tell(SourceEvent::Touched(pkgbases));
        if changed > 0 {
            tracing::info!(sources.changed = changed, "source repositories changed");
        }
        Ok(())
    }

    async fn look_and_store(
        &self,
        paths: Vec<String>,
        known: Vec<SourceRepositoryRow>,
    ) -> Result<usize, Error> {
        let mut known: BTreeMap<String, SourceRepositoryRow> = known
            .into_iter()
            .map(|row| (row.path.clone(), row))
            .collect();
        let mut changed = 0;
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
            let folder = self.folder.clone();
            let found = tokio::task::spawn_blocking(move || {
                let looked = batch
                    .into_iter()
                    .filter_map(|(path, known)| look(&folder, &path, known.as_ref()));
                looked.collect::<Vec<_>>()
            })
            .await?;
            changed += found.len();
            self.store(found).await?;
        }
        Ok(changed)
    }

    async fn store(&self, found: Vec<Found>) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let mut updates = Vec::with_capacity(found.len());
        let mut tx = self.database.write().await?;
        for Found { mut row, package } in found {
            if let Some((text, package)) = &package {
                put_srcinfo(&mut tx, text, package).await?;
                let claimed =
                    source_repositories::usable(&mut *tx.connection(), package.pkgbase()).await?;
                // A repository with another name than its package says so, and claims nothing.
                if let Some(other) = claimed.filter(|other| other.path != row.path)
                    && row.problem.is_none()
                {
                    row.problem = Some(format!(
                        "pkgbase '{}' is claimed by the repository '{}' already",
                        package.pkgbase(),
                        other.path
                    ));
                }
            }
            if let Some(problem) = &row.problem {
                tracing::warn!(
                    source.path = row.path,
                    problem,
                    "source repository cannot be used"
                );
            }
            source_repositories::put(&mut tx, &row).await?;
            updates.push((row, package.map(|(_, package)| Arc::new(package))));
        }
        tx.commit().await?;
        let changes = self.catalog.change(|catalog| {
            let mut changes = Vec::new();
            for (row, package) in updates {
                let usable = row.problem.is_none();
                let is_same = usable && catalog.pkgbase_at(&row.path) == row.pkgbase.as_ref();
                // Replaced in one step where it can be: removed and added again would affect more.
                if !is_same {
                    changes.extend(catalog.remove_path(&row.path));
                }
                if let (Some(package), Some(commit), Some(srcinfo_sha256), true) =
                    (package, row.commit, row.srcinfo_sha256, usable)
                {
                    let head = Head {
                        commit,
                        commit_time: row.commit_time.unwrap_or_default(),
                        clone_url: git::clone_url(&self.folder, &row.path),
                        srcinfo_sha256,
                    };
                    changes.push(catalog.put(&row.path, package, head));
                }
            }
            changes
        });
        self.tell(SourceEvent::Indexed(changes));
        Ok(())
    }

    async fn forget(&self, row: &SourceRepositoryRow) -> Result<(), Error> {
        tracing::info!(source.path = row.path, "source repository is gone");
        let mut tx = self.database.write().await?;
        source_repositories::delete(&mut tx, &row.path).await?;
        tx.commit().await?;
        let change = self
            .catalog
            .change(|catalog| catalog.remove_path(&row.path));
        self.tell(SourceEvent::Indexed(change.into_iter().collect()));
        Ok(())
    }
}

/// Looks at one repository; `None` when it is as it was.
fn look(
    folder: &std::path::Path,
    path: &str,
    known: Option<&SourceRepositoryRow>,
) -> Option<Found> {
    let full_path = folder.join(path);
    let mut row = SourceRepositoryRow {
        path: path.to_owned(),
        pkgbase: None,
        branch: None,
        commit: None,
        commit_time: None,
        srcinfo_sha256: None,
        problem: None,
        changed_at: 0,
    };
    let mut package = None;
    match git::default_branch(&full_path) {
        Err(error) => row.problem = Some(error.to_string()),
        Ok(default) => {
            // A second claim on a pkgbase is looked at again each time: the first may be gone.
            let settled =
                |known: &&SourceRepositoryRow| known.problem.is_none() || known.pkgbase.is_none();
            if known.filter(settled).is_some_and(|known| {
                known.commit.as_ref() == Some(&default.commit)
                    && known.branch.as_deref() == Some(&default.branch)
            }) {
                return None;
            }
            row.branch = Some(default.branch);
            row.commit = Some(default.commit.clone());
            match git::read_commit(&full_path, &default.commit) {
                Err(error) => row.problem = Some(error.to_string()),
                Ok(tree) => {
                    row.commit_time = Some(tree.commit_time);
                    match (git::parse(&tree, None), tree.srcinfo) {
                        (Ok(parsed), Ok(text)) => {
                            row.pkgbase = Some(parsed.pkgbase().clone());
                            row.srcinfo_sha256 = Some(super::digest(&text));
                            row.problem = misnamed(path, &parsed);
                            package = Some((text, parsed));
                        }
                        (Err(reason), _) | (_, Err(reason)) => row.problem = Some(reason),
                    }
                }
            }
        }
    }
    let same = known.is_some_and(|known| {
        SourceRepositoryRow {
            changed_at: known.changed_at,
            ..row.clone()
        } == *known
    });
    (!same).then_some(Found { row, package })
}

/// A repository is named after its pkgbase. One that is not would be found under a name nobody
/// expects, or take the place of another one.
fn misnamed(path: &str, package: &SourcePackage) -> Option<String> {
    let name = path.strip_suffix(".git").unwrap_or(path);
    (name != package.pkgbase().as_str()).then(|| {
        format!(
            ".SRCINFO says pkgbase '{}', but the repository is called '{name}'",
            package.pkgbase()
        )
    })
}

async fn put_srcinfo(
    tx: &mut WriteTransaction,
    text: &str,
    package: &SourcePackage,
) -> Result<Sha256Digest, Error> {
    let sha256 = super::digest(text);
    let row = SrcinfoRow {
        sha256: sha256.clone(),
        text: text.to_owned(),
        parsed: package.as_stored().to_owned(),
        parser: PARSER,
    };
    srcinfos::put(tx, &row).await?;
    Ok(sha256)
}

/// Stores the `.SRCINFO` of an origin changeset.
pub(super) async fn store_srcinfo(
    database: &Database,
    text: &Result<String, String>,
    package: &SourcePackage,
) -> Result<Sha256Digest, Error> {
    let text = text
        .as_ref()
        .map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let mut tx = database.write().await?;
    let sha256 = put_srcinfo(&mut tx, text, package).await?;
    tx.commit().await?;
    Ok(sha256)
}
