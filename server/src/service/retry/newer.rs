//! Finds newer commits than those of an iteration.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::api::NewerCommit;
use buildbtw_model::{BuildStatus, CommitHash, Pkgbase};

use crate::db::Database;
use crate::db::builds::BuildRow;
use crate::db::iterations::{self, FixedOrigin, IterationRow};
use crate::db::source_repositories::SourceRepositoryRow;
use crate::error::Error;
use crate::sources::Sources;

/// Newer commits of members.
pub(super) struct Newer {
    pub(super) commits: Vec<NewerCommit>,
    /// Whether they lead to a new iteration, because an origin has other files.
    pub(super) is_followed: bool,
    /// Failed members whose commit no longer exists, and whose newest one has the same files.
    pub(super) lost: BTreeSet<Pkgbase>,
}

/// Returns the newer commits of the origins and the other members that have other files, or replace commits that no
/// longer exist.
pub(super) async fn commits(
    database: &Database,
    sources: &Sources,
    iteration: &IterationRow,
    all: &[BuildRow],
) -> Result<Newer, Error> {
    let mut found = Found::default();
    let origins = iterations::fixed_origins(database.read(), iteration.id).await?;
    found.add_origins(sources, &origins, all).await;
    found.add_members(sources, &origins, all).await;
    Ok(Newer {
        commits: found.commits.into_values().collect(),
        is_followed: found.is_followed,
        lost: found.lost,
    })
}

/// See [`Newer`].
#[derive(Default)]
struct Found {
    commits: BTreeMap<Pkgbase, NewerCommit>,
    is_followed: bool,
    lost: BTreeSet<Pkgbase>,
}

impl Found {
    fn add(&mut self, pkgbase: &Pkgbase, from: &CommitHash, to: CommitHash) {
        let (pkgbase, from) = (pkgbase.clone(), from.clone());
        let newer = NewerCommit { pkgbase, from, to };
        self.commits.insert(newer.pkgbase.clone(), newer);
    }

    async fn add_origins(&mut self, sources: &Sources, origins: &[FixedOrigin], all: &[BuildRow]) {
        let has_failed = |pkgbase: &Pkgbase| {
            let mut builds = all.iter();
            builds.any(|build| build.pkgbase == *pkgbase && build.status == BuildStatus::Failed)
        };
        for origin in origins {
            let pkgbase = &origin.changeset.pkgbase;
            // A deleted ref or an outage of the forge must not prevent a retry.
            match sources.newer_commit(origin).await {
                Ok(Some(to)) => {
                    self.is_followed = true;
                    self.add(pkgbase, &origin.commit, to);
                }
                Ok(None) if has_failed(pkgbase) => {
                    if let Ok(to) = sources.commit_now(&origin.changeset).await
                        && to != origin.commit
                        && sources.is_lost(pkgbase, &origin.commit).await
                    {
                        self.add(pkgbase, &origin.commit, to);
                        self.lost.insert(pkgbase.clone());
                    }
                }
                Ok(None) | Err(_) => {}
            }
        }
    }

    async fn add_members(&mut self, sources: &Sources, origins: &[FixedOrigin], all: &[BuildRow]) {
        let mut amended = Vec::new();
        sources.with_catalog(|catalog| {
            for build in all.iter().filter(|build| !is_origin(origins, build)) {
                let Some(head) = catalog.head(&build.pkgbase) else {
                    continue;
                };
                if !head.has_files_of(&build.commit, build.tree.as_ref()) {
                    self.add(&build.pkgbase, &build.commit, head.commit.clone());
                } else if build.status == BuildStatus::Failed && head.commit != build.commit {
                    amended.push((build, head.commit.clone()));
                }
            }
        });
        for (build, to) in amended {
            if sources.is_lost(&build.pkgbase, &build.commit).await {
                self.add(&build.pkgbase, &build.commit, to);
                self.lost.insert(build.pkgbase.clone());
            }
        }
    }
}

fn is_origin(origins: &[FixedOrigin], build: &BuildRow) -> bool {
    let mut origins = origins.iter();
    origins.any(|origin| origin.changeset.pkgbase == build.pkgbase)
}

/// Returns the repositories of members whose newest commit cannot be used.
pub(super) async fn unusable(
    database: &Database,
    sources: &Sources,
    iteration: &IterationRow,
    all: &[BuildRow],
) -> Result<Vec<SourceRepositoryRow>, Error> {
    let origins = iterations::fixed_origins(database.read(), iteration.id).await?;
    let missing: BTreeSet<_> = sources.with_catalog(|catalog| {
        let members = all.iter().filter(|build| !is_origin(&origins, build));
        let missing = members.filter(|build| catalog.head(&build.pkgbase).is_none());
        missing.map(|build| &build.pkgbase).collect()
    });
    let mut unusable = sources.unusable_of(missing).await?;
    for origin in &origins {
        // Another branch than the default one is read where it is planned.
        let found = sources.unusable_of([&origin.changeset.pkgbase]).await?;
        unusable.extend(
            found
                .into_iter()
                .filter(|row| row.branch.as_deref() == Some(origin.changeset.git_ref.as_str())),
        );
    }
    Ok(unusable)
}
