//! What the two kinds of sources have in common.

use buildbtw_gitlab::GitlabError;
use buildbtw_model::{
    CommitHash, GitRef, MergeRequestUrl, Pkgbase, ProjectId, SourceProblemKind, TreeHash,
};
use futures_util::future::BoxFuture;

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::Error;

/// A place that holds source repositories: a folder, or a group of a GitLab.
pub(super) trait SourceKind: Send + Sync {
    /// What it is, in words. What is known about another one's repositories is worth nothing.
    fn origin(&self) -> String;

    /// What it is, for everybody to read.
    fn title(&self) -> String;

    /// What `git fetch` understands as a repository.
    fn clone_url(&self, place: Place<'_>) -> String;

    /// What is wrong with the name of a repository of a pkgbase at this path, if anything is.
    fn misnamed(&self, path: &str, pkgbase: &Pkgbase) -> Option<SourceProblem>;

    /// What a repository of a pkgbase has to be called.
    fn expected_name(&self, pkgbase: &Pkgbase) -> String;

    /// Looks up a branch, a tag or a commit, in this order.
    fn read_commit<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<CommitHash, ReadError>>;

    /// The same, and reads `.SRCINFO` there.
    fn read_ref<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<TreeAtCommit, ReadError>>;

    /// The branches of a repository, for messages; none when they cannot be listed.
    fn branches<'a>(&'a self, repository: &'a SourceRepositoryRow) -> BoxFuture<'a, Vec<String>>;

    /// Looks up a merge request.
    fn merge_request<'a>(
        &'a self,
        url: &'a MergeRequestUrl,
    ) -> BoxFuture<'a, Result<FoundMergeRequest, Error>>;
}

/// A merge request that was looked up.
#[derive(Clone, Debug)]
pub(super) struct FoundMergeRequest {
    /// The project that it goes to.
    pub(super) project: ProjectId,
    /// The path of that project, as the request's address has it.
    pub(super) path: String,
    /// GitLab's word for its state, if it is not open any more.
    pub(super) not_open: Option<&'static str>,
    /// Its branch, or its head where that comes from a fork.
    pub(super) ref_name: String,
}

/// Where a repository lies.
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

/// Why a ref could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("no such branch, tag or commit")]
    UnknownRef,
    #[error(transparent)]
    Gitlab(#[from] GitlabError),
    #[error("{0}")]
    Broken(String),
}

/// What a repository's tree holds at a commit.
#[derive(Clone, Debug)]
pub(super) struct TreeAtCommit {
    pub(super) commit: CommitHash,
    /// What identifies the files, where that is known.
    pub(super) tree: Option<TreeHash>,
    pub(super) commit_time: i64,
    /// The text of `.SRCINFO`, or why there is none.
    pub(super) srcinfo: Result<String, SourceProblem>,
}

/// A larger `.SRCINFO` is not one: the largest real ones have about 100 KiB.
pub(super) const MAX_SRCINFO: usize = 4 << 20;

/// What is wrong with a tree without one.
pub(super) fn no_srcinfo() -> SourceProblem {
    SourceProblem::new(SourceProblemKind::NoSrcinfo, "it has no .SRCINFO")
}

/// What is wrong with a `.SRCINFO`.
pub(super) fn invalid_srcinfo(message: impl Into<String>) -> SourceProblem {
    SourceProblem::new(SourceProblemKind::InvalidSrcinfo, message)
}

/// What is wrong with one that is too large.
pub(super) fn large_srcinfo() -> SourceProblem {
    invalid_srcinfo(format!(".SRCINFO is larger than {} MiB", MAX_SRCINFO >> 20))
}
