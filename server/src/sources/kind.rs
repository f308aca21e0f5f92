//! The interface that both kinds of sources implement.

use buildbtw_gitlab::GitlabError;
use buildbtw_model::{
    CommitHash, CommitTime, GitRef, MergeRequestUrl, Pkgbase, ProjectId, SourceProblemKind,
    TreeHash,
};
use futures_util::future::BoxFuture;

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::Error;

/// A place with source repositories: a folder, or a GitLab group.
pub(super) trait SourceKind: Send + Sync {
    /// Returns what identifies the place. Rows of another place are discarded.
    fn origin(&self) -> String;

    /// Returns the name for pages and messages.
    fn title(&self) -> String;

    /// Returns the URL of a repository for `git fetch`.
    fn clone_url(&self, place: Place<'_>) -> String;

    /// Returns the problem of a repository whose name does not fit its pkgbase, if it does not.
    fn name_problem(&self, path: &str, pkgbase: &Pkgbase) -> Option<SourceProblem>;

    /// Returns the required name of the repository of a pkgbase.
    fn expected_name(&self, pkgbase: &Pkgbase) -> String;

    /// Looks up a branch, tag or commit, in this order.
    fn read_commit<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<CommitHash, ReadError>>;

    /// Looks up a ref like [`Self::read_commit`], and reads `.SRCINFO` there.
    fn read_ref<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<TreeAtCommit, ReadError>>;

    /// Returns the branches of a repository, for messages; none on errors.
    fn branches<'a>(&'a self, repository: &'a SourceRepositoryRow) -> BoxFuture<'a, Vec<String>>;

    /// Looks up a merge request.
    fn merge_request<'a>(
        &'a self,
        url: &'a MergeRequestUrl,
    ) -> BoxFuture<'a, Result<FoundMergeRequest, Error>>;
}

/// A merge request.
#[derive(Clone, Debug)]
pub(super) struct FoundMergeRequest {
    /// The target project.
    pub(super) project: ProjectId,
    /// The path of that project, as in the URL of the merge request.
    pub(super) path: String,
    /// GitLab's word for its state, unless it is open.
    pub(super) not_open: Option<&'static str>,
    /// Its source branch, or its head ref if that is in a fork.
    pub(super) ref_name: String,
}

/// The location of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Relative to the folder or group.
    pub(super) path: &'a str,
    pub(super) http_url: Option<&'a str>,
    pub(super) ssh_url: Option<&'a str>,
}

impl<'a> From<&'a SourceRepositoryRow> for Place<'a> {
    fn from(row: &'a SourceRepositoryRow) -> Self {
        Self {
            path: &row.path,
            http_url: row.http_url.as_deref(),
            ssh_url: row.ssh_url.as_deref(),
        }
    }
}

/// The reason for which a ref could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("no such branch, tag or commit")]
    UnknownRef,
    #[error(transparent)]
    Gitlab(#[from] GitlabError),
    #[error("{0}")]
    Broken(String),
}

/// A commit with its `.SRCINFO`.
#[derive(Clone, Debug)]
pub(super) struct TreeAtCommit {
    pub(super) commit: CommitHash,
    /// The tree, if it is known.
    pub(super) tree: Option<TreeHash>,
    /// The commit time, if it is known.
    pub(super) commit_time: Option<CommitTime>,
    /// The text of `.SRCINFO`, or the problem with it.
    pub(super) srcinfo: Result<String, SourceProblem>,
}

/// The maximum size of a `.SRCINFO`; the largest real ones have about 100 KiB.
pub(super) const MAX_SRCINFO: usize = 4 << 20;

/// The hint for a `.SRCINFO` that cannot be used.
pub(super) const REGENERATE: &str =
    "regenerate it with `makepkg --printsrcinfo > .SRCINFO`, commit and push";
/// The hint for a git repository that cannot be read.
pub(super) const FSCK: &str = "run `git fsck` in the repository to find damaged or missing objects";

/// Returns the problem of a tree without `.SRCINFO`.
pub(super) fn no_srcinfo() -> SourceProblem {
    SourceProblem::new(SourceProblemKind::NoSrcinfo, "it has no .SRCINFO")
        .hint("generate it with `makepkg --printsrcinfo > .SRCINFO`, commit and push")
}

/// Returns the problem of an invalid `.SRCINFO`.
pub(super) fn invalid_srcinfo(message: impl Into<String>) -> SourceProblem {
    SourceProblem::new(SourceProblemKind::InvalidSrcinfo, message).hint(REGENERATE)
}

/// Returns the problem of a `.SRCINFO` that is too large.
pub(super) fn large_srcinfo() -> SourceProblem {
    invalid_srcinfo(format!(".SRCINFO is larger than {} MiB", MAX_SRCINFO >> 20))
}

/// Returns the problem of a `.SRCINFO` that is not text.
pub(super) fn binary_srcinfo() -> SourceProblem {
    invalid_srcinfo(".SRCINFO is not UTF-8")
}

/// Returns the problem of a `.SRCINFO` that is a folder or a link.
pub(super) fn special_srcinfo() -> SourceProblem {
    invalid_srcinfo(".SRCINFO is not a regular file")
        .hint("remove it, run `makepkg --printsrcinfo > .SRCINFO`, commit and push")
}

/// Returns the problem of a repository in a folder that is not named after its pkgbase.
pub(super) fn misnamed(name: &str, pkgbase: &Pkgbase) -> SourceProblem {
    SourceProblem::new(
        SourceProblemKind::Misnamed,
        format!(".SRCINFO has pkgbase `{pkgbase}`, but the repository is named `{name}`"),
    )
    .hint(format!(
        "rename the repository to `{pkgbase}`, or correct its pkgbase"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::srcinfo;
    use crate::sources::store::{claimed_by, moved};

    #[test]
    fn problems_match_snapshot() {
        let pkgbase: Pkgbase = "libgreet".parse().unwrap();
        let other: Pkgbase = "greet".parse().unwrap();
        let text = |pkgbase: &str| {
            format!(
                "pkgbase = {pkgbase}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = {pkgbase}\n"
            )
        };
        let parsed = |text: &str| {
            let tree = TreeAtCommit {
                commit: "0".repeat(40).parse().unwrap(),
                tree: None,
                commit_time: None,
                srcinfo: Ok(text.to_owned()),
            };
            srcinfo::parse(&tree, Some(&pkgbase)).err().unwrap()
        };
        let problems = [
            no_srcinfo(),
            large_srcinfo(),
            binary_srcinfo(),
            special_srcinfo(),
            parsed("nothing"),
            parsed(&text(other.as_str())),
            misnamed("greet", &pkgbase),
            claimed_by(&pkgbase, "libgreet"),
            moved("libgreet"),
        ];
        let problems = problems.map(|problem| problem.explanation().to_string());
        insta::assert_snapshot!(problems.join("\n"));
    }
}
