//! Changesets of merge requests.

use buildbtw_model::{Changeset, GitRef, MergeRequestUrl, Pkgbase, ProjectId};

use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::Error;

use super::catch_up::{Freshness, Wanted};
use super::handle::Sources;
use super::kind::ReadError;
use super::{refusals, srcinfo};

impl Sources {
    /// Returns the changeset of a merge request: its branch, or its head if that is in a fork.
    pub(super) async fn merge_request_changeset(
        &self,
        url: &MergeRequestUrl,
    ) -> Result<Changeset, Error> {
        let found = self.kind.merge_request(url).await?;
        let path = &found.path;
        let (row, freshness) = self.row_of_project(found.project).await?;
        let Some(row) = row else {
            if let Some(reason) = freshness.reason() {
                return Err(refusals::unknown_project(path, reason));
            }
            return Err(refusals::other_project(path, &self.title()));
        };
        if let Some(state) = found.not_open {
            return Err(refusals::not_open(url, state, &row));
        }
        let git_ref: GitRef = found.ref_name.parse().map_err(refusals::invalid_branch)?;
        let pkgbase = match row.pkgbase.clone().filter(|_| row.problem.is_none()) {
            Some(pkgbase) => pkgbase,
            // A merge request may add the package to a repository without one.
            None => self.pkgbase_at(&row, &git_ref).await?,
        };
        Ok(Changeset { pkgbase, git_ref })
    }

    /// Returns the row of a project; an unknown or unusable project is read again first.
    async fn row_of_project(
        &self,
        project: ProjectId,
    ) -> Result<(Option<SourceRepositoryRow>, Freshness), Error> {
        let known = source_repositories::of_project(self.database.read(), project).await?;
        if known.as_ref().is_some_and(|row| row.problem.is_none()) {
            return Ok((known, Freshness::Current));
        }
        let freshness = self.catch_up_with([Wanted::Project(project)]).await;
        let found = source_repositories::of_project(self.database.read(), project).await?;
        Ok((found, freshness))
    }

    /// Returns the pkgbase at a ref of a repository whose default branch has none.
    async fn pkgbase_at(
        &self,
        row: &SourceRepositoryRow,
        git_ref: &GitRef,
    ) -> Result<Pkgbase, Error> {
        let tree = match self.kind.read_ref(row, git_ref).await {
            Ok(tree) => tree,
            Err(ReadError::Gitlab(error)) => return Err(refusals::unavailable(&error)),
            Err(_) => return Err(refusals::broken(row)),
        };
        let found = srcinfo::parse(&tree, None).ok();
        let pkgbase = found.map(|package| package.pkgbase().clone());
        pkgbase
            .filter(|pkgbase| self.may_be_of(row, pkgbase))
            .ok_or_else(|| refusals::broken(row))
    }
}
