//! Resolves changesets in their repositories.

use std::sync::Arc;

use buildbtw_model::{Changeset, CommitHash, GitRef, OriginSpec, Pkgbase, Sha256Digest};
use buildbtw_planner::SourcePackage;

use crate::db::iterations::FixedOrigin;
use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::Error;

use super::catalog::Head;
use super::kind::{Place, ReadError, TreeAtCommit};
use super::{Freshness, Sources, refusals, srcinfo, store};

/// A changeset whose ref was resolved.
#[derive(Clone, Debug)]
pub struct ResolvedChangeset {
    /// The changeset.
    pub changeset: Changeset,
    /// The commit of the ref, with its tree and `.SRCINFO`.
    pub head: Head,
    /// The package at that commit.
    pub package: Arc<SourcePackage>,
    /// Whether the ref no longer exists, and this is its last known commit.
    pub is_gone: bool,
}

impl Sources {
    /// Returns the changeset that an origin names.
    ///
    /// # Errors
    /// When a merge request cannot be looked up, or is not open.
    pub async fn changeset(&self, spec: &OriginSpec) -> Result<Changeset, Error> {
        match spec {
            OriginSpec::Changeset(changeset) => self.canonical(changeset).await,
            OriginSpec::MergeRequest(url) => {
                self.ensure_complete()?;
                self.merge_request_changeset(url).await
            }
        }
    }

    /// Returns a changeset with the short name of its ref. `HEAD` is the default branch, whose name it gets: pushes are
    /// compared with names of branches.
    async fn canonical(&self, changeset: &Changeset) -> Result<Changeset, Error> {
        let git_ref = changeset.git_ref.as_str();
        let short = match git_ref {
            "HEAD" => {
                let pkgbase = &changeset.pkgbase;
                if self.repository_of(pkgbase).await.is_err() {
                    // It may be new.
                    self.catch_up(std::slice::from_ref(pkgbase)).await;
                }
                let row = self.repository_of(pkgbase).await?;
                row.branch
            }
            full => ["refs/heads/", "refs/tags/"]
                .iter()
                .find_map(|prefix| full.strip_prefix(prefix))
                .map(str::to_owned),
        };
        let short = short.and_then(|name| name.parse().ok());
        Ok(Changeset {
            pkgbase: changeset.pkgbase.clone(),
            git_ref: short.unwrap_or_else(|| changeset.git_ref.clone()),
        })
    }

    /// Returns the default branch and all branches of the repository of a pkgbase.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn branches_of(
        &self,
        pkgbase: &Pkgbase,
    ) -> Result<(Option<String>, Vec<String>), Error> {
        let row = self.repository_of(pkgbase).await?;
        let branches = self.kind.branches(&row).await;
        Ok((row.branch, branches))
    }

    /// Resolves a changeset to its commit and `.SRCINFO`, directly in the repository. The default branch need not
    /// be usable.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown, or the tree at the ref has no usable `.SRCINFO`.
    pub async fn resolve(
        &self,
        changeset: &Changeset,
        freshness: &Freshness,
    ) -> Result<ResolvedChangeset, Error> {
        let row = self.repository_as_of(&changeset.pkgbase, freshness).await?;
        match self.kind.read_ref(&row, &changeset.git_ref).await {
            Ok(found) => self.resolved(changeset, &row, found).await,
            Err(error) => Err(Self::unless_stale(
                &changeset.pkgbase,
                freshness,
                self.explain(changeset, &row, error).await,
            )),
        }
    }

    /// Resolves a changeset for a plan that is not kept, so that nothing is stored. Default branches are taken from the
    /// index.
    ///
    /// # Errors
    /// See [`Self::resolve`].
    pub async fn resolve_for_preview(
        &self,
        changeset: &Changeset,
        freshness: &Freshness,
    ) -> Result<ResolvedChangeset, Error> {
        let row = self.repository_as_of(&changeset.pkgbase, freshness).await?;
        if let Some(indexed) = self.indexed(changeset, &row) {
            return Ok(indexed);
        }
        match self.kind.read_ref(&row, &changeset.git_ref).await {
            Ok(found) => {
                let package = srcinfo::parse(&found, Some(&changeset.pkgbase))
                    .map_err(|problem| refusals::unusable_ref(changeset, &row, problem))?;
                let sha256 = srcinfo::digest_of(&found.srcinfo)?;
                Ok(self.at(changeset, &row, found, package, sha256))
            }
            Err(error) => Err(Self::unless_stale(
                &changeset.pkgbase,
                freshness,
                self.explain(changeset, &row, error).await,
            )),
        }
    }

    /// Resolves a changeset from the index, if that is a default branch. Does not read the repository.
    ///
    /// # Errors
    /// When the pkgbase is unknown, or its default branch cannot be used.
    pub async fn resolve_from_index(
        &self,
        changeset: &Changeset,
        freshness: &Freshness,
    ) -> Result<Option<ResolvedChangeset>, Error> {
        let row = self.repository_as_of(&changeset.pkgbase, freshness).await?;
        if row.branch.as_deref() != Some(changeset.git_ref.as_str()) {
            return Ok(None);
        }
        match self.indexed(changeset, &row) {
            Some(indexed) => Ok(Some(indexed)),
            None => Err(refusals::broken(&row)),
        }
    }

    /// Resolves an origin that was planned before. The repository is not read if the index has the branch at the
    /// `known` commit, or if none is known. Another commit in the index is verified first, because the index may be
    /// older than `known`. A ref that no longer exists, for example after a merge, keeps its `known` commit.
    ///
    /// # Errors
    /// See [`Self::resolve`].
    pub async fn resolve_again(
        &self,
        changeset: &Changeset,
        known: Option<&CommitHash>,
    ) -> Result<ResolvedChangeset, Error> {
        let row = self.repository_of(&changeset.pkgbase).await?;
        if let Some(indexed) = self.indexed(changeset, &row) {
            let commit = &indexed.head.commit;
            if known.is_none_or(|known| known == commit) {
                return Ok(indexed);
            }
            match self.kind.read_commit(&row, &changeset.git_ref).await {
                Ok(now) if now == *commit => return Ok(indexed),
                Ok(_) | Err(ReadError::UnknownRef) => {}
                Err(error) => return Err(self.explain(changeset, &row, error).await),
            }
        }
        let error = match self.kind.read_ref(&row, &changeset.git_ref).await {
            Ok(found) => return self.resolved(changeset, &row, found).await,
            Err(error) => error,
        };
        if let (ReadError::UnknownRef, Some(known)) = (&error, known)
            && let Ok(commit) = known.as_str().parse::<GitRef>()
            && let Ok(found) = self.kind.read_ref(&row, &commit).await
        {
            let mut resolved = self.resolved(changeset, &row, found).await?;
            resolved.is_gone = true;
            return Ok(resolved);
        }
        Err(self.explain(changeset, &row, error).await)
    }

    /// Resolves a changeset from the index, if it is a default branch.
    fn indexed(
        &self,
        changeset: &Changeset,
        row: &SourceRepositoryRow,
    ) -> Option<ResolvedChangeset> {
        if row.branch.as_deref() != Some(changeset.git_ref.as_str()) {
            return None;
        }
        self.with_catalog(|catalog| {
            Some(ResolvedChangeset {
                changeset: changeset.clone(),
                head: catalog.head(&changeset.pkgbase)?.clone(),
                package: Arc::clone(catalog.index().get(&changeset.pkgbase)?),
                is_gone: false,
            })
        })
    }

    async fn resolved(
        &self,
        changeset: &Changeset,
        row: &SourceRepositoryRow,
        found: TreeAtCommit,
    ) -> Result<ResolvedChangeset, Error> {
        let package = srcinfo::parse(&found, Some(&changeset.pkgbase))
            .map_err(|problem| refusals::unusable_ref(changeset, row, problem))?;
        let sha256 = srcinfo::store(&self.database, &found.srcinfo, &package).await?;
        Ok(self.at(changeset, row, found, package, sha256))
    }

    /// Returns a changeset with the commit and `.SRCINFO` that were read for it.
    fn at(
        &self,
        changeset: &Changeset,
        row: &SourceRepositoryRow,
        found: TreeAtCommit,
        package: SourcePackage,
        srcinfo_sha256: Sha256Digest,
    ) -> ResolvedChangeset {
        ResolvedChangeset {
            changeset: changeset.clone(),
            head: Head {
                commit: found.commit,
                tree: found.tree,
                commit_time: found.commit_time,
                clone_url: self.kind.clone_url(Place::from(row)),
                srcinfo_sha256,
            },
            package: Arc::new(package),
            is_gone: false,
        }
    }

    /// Returns the current commit of a changeset's ref.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown.
    pub async fn commit_now(&self, changeset: &Changeset) -> Result<CommitHash, Error> {
        let row = self.repository_of(&changeset.pkgbase).await?;
        match self.kind.read_commit(&row, &changeset.git_ref).await {
            Ok(commit) => Ok(commit),
            Err(error) => Err(self.explain(changeset, &row, error).await),
        }
    }

    /// Returns the current commit of an origin if its files differ from those it was planned with, with as few
    /// requests as possible. Planning resolves the origin again.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown.
    pub async fn newer_commit(&self, known: &FixedOrigin) -> Result<Option<CommitHash>, Error> {
        let changeset = &known.changeset;
        let row = self.repository_of(&changeset.pkgbase).await?;
        let is_default = row.branch.as_deref() == Some(changeset.git_ref.as_str());
        if row.problem.is_none() && is_default {
            let is_same = row.commit.as_ref() == Some(&known.commit)
                || (row.tree.is_some() && row.tree == known.tree);
            return Ok(row.commit.filter(|_| !is_same));
        }
        let found = self.newer_in(&row, known).await;
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(self.explain(changeset, &row, error).await),
        }
    }

    async fn newer_in(
        &self,
        row: &SourceRepositoryRow,
        known: &FixedOrigin,
    ) -> Result<Option<CommitHash>, ReadError> {
        let git_ref = &known.changeset.git_ref;
        let commit = self.kind.read_commit(row, git_ref).await?;
        if commit == known.commit {
            return Ok(None);
        }
        if known.tree.is_some() {
            let found = self.kind.read_ref(row, git_ref).await?;
            return Ok(Some(found.commit).filter(|_| found.tree != known.tree));
        }
        Ok(Some(commit))
    }

    /// Returns the repository of a pkgbase. Its default branch may be unusable, as other refs may still be usable.
    pub(super) async fn repository_of(
        &self,
        pkgbase: &Pkgbase,
    ) -> Result<SourceRepositoryRow, Error> {
        self.ensure_complete()?;
        let reader = self.database.read();
        if let Some(row) = source_repositories::usable(reader, pkgbase).await? {
            return Ok(row);
        }
        let name = self.kind.expected_name(pkgbase);
        let broken = source_repositories::broken_by_pkgbase(reader, pkgbase, &name).await?;
        match broken {
            Some(row) if self.may_be_of(&row, pkgbase) => Ok(row),
            Some(row) => Err(refusals::broken(&row)),
            None => Err(self.unknown(pkgbase)),
        }
    }

    /// Returns the repository of a pkgbase, for a request that waited for a current index.
    async fn repository_as_of(
        &self,
        pkgbase: &Pkgbase,
        freshness: &Freshness,
    ) -> Result<SourceRepositoryRow, Error> {
        self.repository_of(pkgbase)
            .await
            .map_err(|error| Self::unless_stale(pkgbase, freshness, error))
    }

    /// Returns whether refs of an unusable repository may contain a package.
    pub(super) fn may_be_of(&self, row: &SourceRepositoryRow, pkgbase: &Pkgbase) -> bool {
        !store::forbids_builds(row) && self.kind.name_problem(&row.path, pkgbase).is_none()
    }
}
