//! Looks up what somebody wants to build, in the repository itself.

use std::sync::Arc;

use buildbtw_model::{Changeset, CommitHash, GitRef, OriginSpec, Pkgbase};
use buildbtw_planner::SourcePackage;

use crate::db::iterations::FixedOrigin;
use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::Error;

use super::catalog::Head;
use super::kind::{Place, ReadError, TreeAtCommit};
use super::{Freshness, Sources, refusals, srcinfo, store};

/// A changeset whose ref was looked up.
#[derive(Clone, Debug)]
pub struct ResolvedChangeset {
    /// The changeset.
    pub changeset: Changeset,
    /// The commit of the ref, and what the tree holds there.
    pub head: Head,
    /// The package as it is at that commit.
    pub package: Arc<SourcePackage>,
    /// Whether the ref does not exist any more, and this is the commit it had before.
    pub is_gone: bool,
}

impl Sources {
    /// Returns the changeset that somebody means.
    ///
    /// # Errors
    /// When a merge request cannot be looked up, or is not open.
    pub async fn changeset(&self, spec: &OriginSpec) -> Result<Changeset, Error> {
        match spec {
            OriginSpec::Changeset(changeset) => Ok(changeset.clone()),
            OriginSpec::MergeRequest(url) => {
                self.ensure_complete()?;
                self.merge_request_changeset(url).await
            }
        }
    }

    /// Looks up the commit of a changeset and its `.SRCINFO` there, directly in the repository. The default
    /// branch need not be usable for that.
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
            Err(error) => Err(self.explain(changeset, &row, error).await),
        }
    }

    /// Returns the package that a changeset holds, for a plan that nobody keeps: nothing is stored. For a
    /// default branch the index will do.
    ///
    /// # Errors
    /// See [`Self::resolve`].
    pub async fn package_at(
        &self,
        changeset: &Changeset,
        freshness: &Freshness,
    ) -> Result<Arc<SourcePackage>, Error> {
        let row = self.repository_as_of(&changeset.pkgbase, freshness).await?;
        if let Some(indexed) = self.indexed(changeset, &row) {
            return Ok(indexed.package);
        }
        match self.kind.read_ref(&row, &changeset.git_ref).await {
            Ok(found) => srcinfo::parse(&found, Some(&changeset.pkgbase))
                .map(Arc::new)
                .map_err(|problem| refusals::unusable_ref(changeset, &row, &problem.message)),
            Err(error) => Err(self.explain(changeset, &row, error).await),
        }
    }

    /// Returns the package that the index holds of a changeset, if that is a default branch. Asks nobody.
    ///
    /// # Errors
    /// When the pkgbase is unknown, or its default branch cannot be used.
    pub async fn indexed_package(
        &self,
        changeset: &Changeset,
        freshness: &Freshness,
    ) -> Result<Option<Arc<SourcePackage>>, Error> {
        let row = self.repository_as_of(&changeset.pkgbase, freshness).await?;
        if row.branch.as_deref() != Some(changeset.git_ref.as_str()) {
            return Ok(None);
        }
        match self.indexed(changeset, &row) {
            Some(indexed) => Ok(Some(indexed.package)),
            None => Err(refusals::broken(&row)),
        }
    }

    /// The same as [`Self::resolve`] for an origin that was planned before. Nobody is asked when the index says that its
    /// branch is still at the `known` commit. What the index says instead is not relied on: it may be
    /// older than that. Where nothing was known before, the index will do. A ref that does not exist any
    /// more, for example because it was merged, stays where it was.
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

    /// What the index says about a changeset that is a default branch.
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
            .map_err(|problem| refusals::unusable_ref(changeset, row, &problem.message))?;
        let sha256 = srcinfo::store(&self.database, &found.srcinfo, &package).await?;
        Ok(ResolvedChangeset {
            changeset: changeset.clone(),
            head: Head {
                commit: found.commit,
                tree: found.tree,
                commit_time: found.commit_time,
                clone_url: self.kind.clone_url(Place::from(row)),
                srcinfo_sha256: sha256,
            },
            package: Arc::new(package),
            is_gone: false,
        })
    }

    /// Returns the commit that the ref of a changeset names now.
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

    /// Returns the commit of an origin if that has other files than the one it was planned with, with as
    /// few questions as that takes. Planning asks again.
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

    /// Returns the repository of a pkgbase. Its default branch may be unusable: another one need not be.
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
        let broken = source_repositories::broken_like(reader, pkgbase, &name).await?;
        match broken {
            Some(row) if self.may_be_of(&row, pkgbase) => Ok(row),
            Some(row) => Err(refusals::broken(&row)),
            None => Err(self.unknown(pkgbase)),
        }
    }

    /// The same, for someone who waited for the index to be current.
    async fn repository_as_of(
        &self,
        pkgbase: &Pkgbase,
        freshness: &Freshness,
    ) -> Result<SourceRepositoryRow, Error> {
        self.repository_of(pkgbase)
            .await
            .map_err(|error| Self::unless_stale(pkgbase, freshness, error))
    }

    /// Whether refs of a repository that cannot be used may hold a package.
    pub(super) fn may_be_of(&self, row: &SourceRepositoryRow, pkgbase: &Pkgbase) -> bool {
        !store::forbids_builds(row) && self.kind.misnamed(&row.path, pkgbase).is_none()
    }
}
