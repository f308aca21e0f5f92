//! Stores changed repositories, first in the database, then in the catalog.

use std::collections::BTreeSet;
use std::sync::Arc;

use buildbtw_model::{Pkgbase, ProjectId, SourceProblemKind};
use buildbtw_planner::{SourcePackage, parse_srcinfo};

use crate::db::source_repositories::{self, SourceProblem, SourceRepositoryRow};
use crate::db::{WriteTransaction, srcinfos};
use crate::error::Error;
use crate::time::Millis;

use super::catalog::{Catalog, Head};
use super::kind::{Place, TreeAtCommit};
use super::{SourceEvent, Sources, srcinfo};

/// The result of reading a repository.
pub(super) struct Found {
    pub(super) row: SourceRepositoryRow,
    /// The text and its parsed form, if the repository can be used.
    pub(super) package: Option<(String, SourcePackage)>,
}

impl Found {
    /// Creates the result of a repository without contents.
    pub(super) fn at(path: &str) -> Self {
        let row = SourceRepositoryRow {
            path: path.to_owned(),
            pkgbase: None,
            branch: None,
            commit: None,
            tree: None,
            commit_time: None,
            srcinfo_sha256: None,
            problem: None,
            changed_at: Millis(0),
            project_id: None,
            http_url: None,
            ssh_url: None,
        };
        Self { row, package: None }
    }

    /// Sets the contents of the default branch.
    pub(super) fn set_tree(&mut self, tree: TreeAtCommit, name_problem: impl NameCheck) {
        self.row.commit_time = tree.commit_time;
        self.row.tree.clone_from(&tree.tree);
        match (srcinfo::parse(&tree, None), tree.srcinfo) {
            (Ok(parsed), Ok(text)) => {
                self.row.pkgbase = Some(parsed.pkgbase().clone());
                self.row.srcinfo_sha256 = Some(srcinfo::digest(&text));
                self.row.problem = name_problem(&self.row.path, parsed.pkgbase());
                self.package = Some((text, parsed));
            }
            (Err(reason), _) | (_, Err(reason)) => self.row.problem = Some(reason),
        }
    }

    /// Sets the problem of the repository.
    pub(super) fn mark_broken(&mut self, problem: SourceProblem) {
        self.row.problem = Some(problem);
    }

    /// Returns whether this equals the stored row. A lost claim of the pkgbase does not count, because it is not read
    /// from the repository.
    pub(super) fn is_unchanged_from(&self, known: &SourceRepositoryRow) -> bool {
        let lost = |problem: &SourceProblem| problem.kind == SourceProblemKind::Claimed;
        let lost_claim = self.row.problem.is_none() && known.problem.as_ref().is_some_and(lost);
        let problem = if lost_claim {
            known.problem.clone()
        } else {
            self.row.problem.clone()
        };
        SourceRepositoryRow {
            changed_at: known.changed_at,
            problem,
            ..self.row.clone()
        } == *known
    }
}

/// Returns whether nothing may be built from a repository, whatever its refs contain.
pub(super) fn forbids_builds(row: &SourceRepositoryRow) -> bool {
    let problem = row.problem.as_ref();
    problem.is_some_and(|problem| problem.kind.forbids_builds())
}

/// See [`super::kind::SourceKind::name_problem`].
pub(super) trait NameCheck: Fn(&str, &Pkgbase) -> Option<SourceProblem> {}
impl<F: Fn(&str, &Pkgbase) -> Option<SourceProblem>> NameCheck for F {}

/// The projects whose paths other projects have taken, and whose new paths are unknown.
#[derive(Debug, Default)]
pub(super) struct MovedAway(pub(super) Vec<ProjectId>);

/// The change of a row.
struct Update {
    before: Option<SourceRepositoryRow>,
    row: SourceRepositoryRow,
    package: Option<Arc<SourcePackage>>,
}

impl Update {
    /// Returns an upper bound of the bytes of `.SRCINFO` that updating the catalog reads: each package reads those
    /// of its base.
    fn size(&self) -> usize {
        self.package.as_ref().map_or(0, |package| {
            let packages = package.pkgnames().len();
            package.as_stored().len().saturating_mul(packages)
        })
    }
}

impl Sources {
    /// Stores what was read, and removes repositories that are gone, in one transaction.
    pub(super) async fn store(
        &self,
        found: Vec<Found>,
        removed: Vec<SourceRepositoryRow>,
    ) -> Result<MovedAway, Error> {
        if found.is_empty() && removed.is_empty() {
            return Ok(MovedAway::default());
        }
        let mut moved_away = MovedAway::default();
        let mut updates = Vec::with_capacity(found.len());
        let mut released = BTreeSet::new();
        let mut tx = self.database.write().await?;
        for row in &removed {
            tracing::info!(source.path = row.path, "source repository was removed");
            source_repositories::delete(&mut tx, &row.path).await?;
            released.extend(claim(row));
        }
        for Found { mut row, package } in found {
            let before = previous(&mut tx, &row).await?;
            if let Some(moved) = free_path(&mut tx, &row).await? {
                released.extend(moved.before.as_ref().and_then(claim));
                moved_away.0.extend(moved.row.project_id);
                updates.push(moved);
            }
            released.extend(before.as_ref().and_then(claim));
            if let (Some((text, package)), Some(sha256)) = (&package, &row.srcinfo_sha256) {
                srcinfo::put(&mut tx, sha256, text, package).await?;
                let claimed =
                    source_repositories::usable(&mut *tx.connection(), package.pkgbase()).await?;
                // A misnamed repository keeps that problem, and does not claim the pkgbase.
                if let Some(other) = claimed.filter(|other| !is_same(other, &row))
                    && row.problem.is_none()
                {
                    row.problem = Some(claimed_by(package.pkgbase(), &other.path));
                }
            }
            log_new_problem(before.as_ref(), &row);
            source_repositories::put(&mut tx, before.as_ref(), &row).await?;
            updates.push(Update {
                before,
                row,
                package: package.map(|(_, package)| Arc::new(package)),
            });
        }
        for pkgbase in released {
            updates.extend(self.reassign_pkgbase(&mut tx, &pkgbase).await?);
        }
        tx.commit().await?;
        self.update_catalog(updates, removed).await?;
        Ok(moved_away)
    }

    /// Lets repositories claim the pkgbases that are not claimed and were refused to them before.
    pub(super) async fn reassign_free_pkgbases(&self) -> Result<(), Error> {
        let broken_pkgbases = source_repositories::broken_pkgbases(self.database.read()).await?;
        if broken_pkgbases.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.write().await?;
        let mut updates = Vec::new();
        for pkgbase in broken_pkgbases {
            updates.extend(self.reassign_pkgbase(&mut tx, &pkgbase).await?);
        }
        tx.commit().await?;
        self.update_catalog(updates, Vec::new()).await?;
        Ok(())
    }

    /// Lets the first repository that was refused a pkgbase claim it, if it is no longer claimed.
    async fn reassign_pkgbase(
        &self,
        tx: &mut WriteTransaction,
        pkgbase: &Pkgbase,
    ) -> Result<Option<Update>, Error> {
        let usable = source_repositories::usable(&mut *tx.connection(), pkgbase).await?;
        if usable.is_some() {
            return Ok(None);
        }
        for before in source_repositories::refused(&mut *tx.connection(), pkgbase).await? {
            let Some(sha256) = &before.srcinfo_sha256 else {
                continue;
            };
            if self.kind.name_problem(&before.path, pkgbase).is_some() {
                continue;
            }
            let Some(stored) = srcinfos::get(&mut *tx.connection(), sha256).await? else {
                continue;
            };
            let Ok(package) = parse_srcinfo(&stored.text) else {
                continue;
            };
            let row = SourceRepositoryRow {
                problem: None,
                ..before.clone()
            };
            source_repositories::put(tx, Some(&before), &row).await?;
            return Ok(Some(Update {
                before: Some(before),
                row,
                package: Some(Arc::new(package)),
            }));
        }
        Ok(None)
    }

    /// Updates the catalog to the state of the database, and sends the changes.
    async fn update_catalog(
        &self,
        updates: Vec<Update>,
        removed: Vec<SourceRepositoryRow>,
    ) -> Result<(), Error> {
        let size = updates.iter().map(Update::size).sum();
        let kind = Arc::clone(&self.kind);
        let apply = move |catalog: &mut Catalog| {
            let mut changes = Vec::new();
            for row in removed {
                changes.extend(catalog.remove_path(&row.path));
            }
            for Update {
                before,
                row,
                package,
            } in updates
            {
                if let Some(before) = before.filter(|before| before.path != row.path) {
                    catalog.rename_path(&before.path, &row.path);
                }
                let usable = row.problem.is_none();
                let is_same = usable && catalog.pkgbase_at(&row.path) == row.pkgbase.as_ref();
                // Replaced in one step if possible, because a removal and an insertion would affect more
                // namespaces.
                if !is_same {
                    changes.extend(catalog.remove_path(&row.path));
                }
                let clone_url = kind.clone_url(Place::from(&row));
                if let (Some(package), Some(commit), Some(srcinfo_sha256), true) =
                    (package, row.commit, row.srcinfo_sha256, usable)
                {
                    let head = Head {
                        commit,
                        tree: row.tree,
                        commit_time: row.commit_time,
                        clone_url,
                        srcinfo_sha256,
                    };
                    changes.push(catalog.put(&row.path, package, head));
                }
            }
            changes
        };
        let changes = self.catalog.change(size, apply).await?;
        if !changes.is_empty() {
            self.emit(SourceEvent::Indexed(changes));
        }
        Ok(())
    }
}

/// Logs a problem that the repository did not have before.
fn log_new_problem(before: Option<&SourceRepositoryRow>, row: &SourceRepositoryRow) {
    if let Some(problem) = &row.problem
        && before.and_then(|before| before.problem.as_ref()) != Some(problem)
    {
        tracing::warn!(
            source.path = row.path,
            problem = problem.message,
            problem.kind = %problem.kind,
            hint = problem.hint,
            "source repository cannot be used"
        );
    }
}

/// Returns the problem of a repository whose pkgbase another one claims.
pub(super) fn claimed_by(pkgbase: &Pkgbase, path: &str) -> SourceProblem {
    SourceProblem::new(
        SourceProblemKind::Claimed,
        format!("pkgbase `{pkgbase}` is already claimed by the repository `{path}`"),
    )
    .hint("remove one of the two repositories, or correct the pkgbase of one")
}

/// Returns the problem of a repository that is no longer at its path.
pub(super) fn moved(path: &str) -> SourceProblem {
    SourceProblem::new(
        SourceProblemKind::Moved,
        format!("it moved away from `{path}`"),
    )
}

/// Returns the pkgbase that a repository claims.
fn claim(row: &SourceRepositoryRow) -> Option<Pkgbase> {
    row.pkgbase.clone().filter(|_| row.problem.is_none())
}

/// Returns whether two rows belong to the same repository.
fn is_same(one: &SourceRepositoryRow, other: &SourceRepositoryRow) -> bool {
    match (one.project_id, other.project_id) {
        (Some(one), Some(other)) => one == other,
        _ => one.path == other.path,
    }
}

/// Returns the stored row of the repository.
async fn previous(
    tx: &mut WriteTransaction,
    row: &SourceRepositoryRow,
) -> Result<Option<SourceRepositoryRow>, Error> {
    let connection = tx.connection();
    let known = match row.project_id {
        Some(id) => source_repositories::of_project(connection, id).await?,
        None => source_repositories::at(connection, &row.path).await?,
    };
    Ok(known)
}

/// Frees a path: the project that was there has moved, and its new path shows when it is read.
async fn free_path(
    tx: &mut WriteTransaction,
    row: &SourceRepositoryRow,
) -> Result<Option<Update>, Error> {
    let there = source_repositories::at(&mut *tx.connection(), &row.path).await?;
    let Some(before) = there.filter(|there| !is_same(there, row)) else {
        return Ok(None);
    };
    let moved = SourceRepositoryRow {
        // Paths of projects cannot begin with `~`.
        path: match before.project_id {
            Some(id) => format!("~{id}"),
            None => format!("~{}", before.path),
        },
        pkgbase: None,
        srcinfo_sha256: None,
        commit: None,
        tree: None,
        problem: Some(moved(&before.path)),
        ..before.clone()
    };
    source_repositories::put(tx, Some(&before), &moved).await?;
    Ok(Some(Update {
        before: Some(before),
        row: moved,
        package: None,
    }))
}
