//! Refusals of requests that the sources cannot fulfil.

use std::time::Duration;

use buildbtw_gitlab::{GitlabError, GitlabErrorKind};
use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Changeset, MergeRequestUrl, Pkgbase, closest};

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::{Error, Refusal};

use super::kind::{FSCK, ReadError};
use super::{Freshness, Sources};

/// When a client may retry while the sources are being read.
const PAUSE_WHILE_READING: Duration = Duration::from_secs(10);
/// How many branches a message lists.
const SHOWN: usize = 8;

impl Sources {
    /// Refuses plans during the initial sync: they would lack dependents.
    pub(super) fn ensure_complete(&self) -> Result<(), Error> {
        let status = self.status();
        if status.complete {
            return Ok(());
        }
        let far = status.progress.map_or_else(String::new, |progress| {
            let total = progress
                .total
                .map_or_else(String::new, |n| format!(" of {n}"));
            format!(" ({}{total} so far)", progress.seen)
        });
        let mut refusal = Refusal::new(
            ProblemKind::Unavailable,
            format!("the initial sync of the sources is not finished{far}"),
        )
        .hint("a plan made now would lack packages; `buildbtw sources` shows the progress")
        .retry_after(PAUSE_WHILE_READING);
        if let Some(outage) = status.outage {
            refusal = refusal.detail(outage.cause.message);
        }
        Err(refusal.into())
    }

    /// Returns the refusal of an unknown pkgbase.
    pub(super) fn unknown(&self, pkgbase: &Pkgbase) -> Error {
        // Its repository may be among those that could not be read.
        if let Some(outage) = self.status().outage {
            return unknown_in_outage(pkgbase, outage.cause.message);
        }
        let hint = self
            .similar_names(pkgbase)
            .unwrap_or_else(|| "`buildbtw sources` lists all source repositories".to_owned());
        let title = format!("no source repository has pkgbase `{pkgbase}`");
        Refusal::new(ProblemKind::UnknownPkgbase, title)
            .hint(hint)
            .into()
    }

    /// Converts the refusal of an unknown or unusable repository into a temporary one if the index is stale,
    /// because then it may be out of date.
    pub(super) fn unless_stale(pkgbase: &Pkgbase, freshness: &Freshness, error: Error) -> Error {
        let (Some(reason), Error::Refused(refusal)) = (freshness.reason(), &error) else {
            return error;
        };
        let what = match refusal.kind() {
            ProblemKind::UnknownPkgbase => {
                format!("no source repository of pkgbase `{pkgbase}` is known")
            }
            ProblemKind::BrokenSource => {
                format!("the source repository of pkgbase `{pkgbase}` was unusable when last read")
            }
            _ => return error,
        };
        stale(&what, reason)
    }

    /// Returns a hint for a pkgname where a pkgbase is expected, or for a mistyped pkgbase.
    fn similar_names(&self, name: &Pkgbase) -> Option<String> {
        self.with_catalog(|catalog| {
            let owner = catalog.index().iter().find(|package| {
                package
                    .pkgnames()
                    .iter()
                    .any(|pkgname| pkgname.as_str() == name.as_str())
            });
            if let Some(owner) = owner {
                let owner = owner.pkgbase();
                return Some(format!("`{name}` is a package of pkgbase `{owner}`"));
            }
            let known = catalog.index().iter();
            let known = known.map(|package| package.pkgbase().as_str());
            let meant = closest(name.as_str(), known)?;
            Some(format!("did you mean `{meant}`?"))
        })
    }

    /// Returns the refusal of a ref that could not be read.
    pub(super) async fn explain(
        &self,
        changeset: &Changeset,
        row: &SourceRepositoryRow,
        error: ReadError,
    ) -> Error {
        match error {
            ReadError::UnknownRef => self.unknown_ref(changeset, row).await,
            ReadError::Gitlab(error) if matches!(error.kind, GitlabErrorKind::NotFound(_)) => {
                let title = format!("project `{}` is no longer in the group", row.path);
                Refusal::new(ProblemKind::UnknownPkgbase, title)
                    .detail("it was moved or deleted, or the server's token can no longer see it")
                    .into()
            }
            ReadError::Gitlab(error) => unavailable(&error),
            ReadError::Broken(reason) => {
                let title = format!("the source repository `{}` cannot be read", row.path);
                Refusal::new(ProblemKind::BrokenSource, title)
                    .detail(reason)
                    .hint(FSCK)
                    .into()
            }
        }
    }

    async fn unknown_ref(&self, changeset: &Changeset, row: &SourceRepositoryRow) -> Error {
        let branches = self.kind.branches(row).await;
        if branches.is_empty() && row.problem.is_some() {
            return broken(row);
        }
        let title = format!(
            "{} has no branch, tag or commit `{}`",
            changeset.pkgbase, changeset.git_ref
        );
        let default = row.branch.as_deref().map_or_else(String::new, |branch| {
            format!("; the default branch is `{branch}`")
        });
        let shown: Vec<_> = branches.iter().take(SHOWN).map(String::as_str).collect();
        let more = if branches.len() > SHOWN { ", …" } else { "" };
        let listed = if shown.is_empty() {
            String::new()
        } else {
            format!("; its branches are {}{more}", shown.join(", "))
        };
        let known = branches.iter().map(String::as_str);
        let check = match closest(changeset.git_ref.as_str(), known) {
            Some(branch) => format!("did you mean `{branch}`?"),
            None => "check that it was pushed".to_owned(),
        };
        let repair = row
            .hint()
            .map_or_else(String::new, |hint| format!("; {hint}"));
        let refusal = Refusal::new(ProblemKind::UnknownRef, title)
            .hint(format!("{check}{default}{listed}{repair}"));
        match &row.problem {
            Some(problem) => refusal.detail(&problem.message).into(),
            None => refusal.into(),
        }
    }
}

/// Returns the refusal of an unknown pkgbase while the sources cannot be read.
fn unknown_in_outage(pkgbase: &Pkgbase, cause: String) -> Error {
    let title = format!(
        "no source repository of pkgbase `{pkgbase}` is known, and the sources cannot be read"
    );
    Refusal::new(ProblemKind::Unavailable, title)
        .detail(cause)
        .hint("the server keeps retrying; `buildbtw sources` shows the state of the sources")
        .retry_after(PAUSE_WHILE_READING)
        .into()
}

/// Returns the refusal of a merge request of a project that a stale index lacks.
pub(super) fn unknown_project(path: &str, reason: &str) -> Error {
    let title = format!("project `{path}` is not a known package repository");
    stale(&title, reason)
}

/// Returns the refusal of something that a stale index lacks.
fn stale(what: &str, reason: &str) -> Error {
    let title = format!("{what}, and the sources could not be read ({reason})");
    Refusal::new(ProblemKind::Unavailable, title)
        .hint("try again later; `buildbtw sources` shows the state of the sources")
        .retry_after(PAUSE_WHILE_READING)
        .into()
}

/// Returns the refusal of an unusable repository.
#[must_use]
pub fn broken(row: &SourceRepositoryRow) -> Error {
    let problem = row.problem.as_ref();
    let hint = row.hint();
    Refusal::new(ProblemKind::BrokenSource, is_unusable(row))
        .detail(problem.map_or("", |problem| &problem.message))
        .hint(hint.unwrap_or("`buildbtw sources --broken` lists all broken repositories"))
        .into()
}

/// Returns the title of the refusal of an unusable repository.
#[must_use]
pub fn is_unusable(row: &SourceRepositoryRow) -> String {
    format!("the source repository `{}` cannot be used", row.path)
}

/// Returns the refusal of a ref without a usable package.
pub(super) fn unusable_ref(
    changeset: &Changeset,
    row: &SourceRepositoryRow,
    problem: SourceProblem,
) -> Error {
    if row.problem.is_some() && row.branch.as_deref() == Some(changeset.git_ref.as_str()) {
        return broken(row);
    }
    let title = format!("{changeset} cannot be built: {}", problem.message);
    let refusal = Refusal::new(ProblemKind::BrokenSource, title);
    match problem.hint {
        Some(hint) => refusal.hint(hint).into(),
        None => refusal.into(),
    }
}

/// Returns the refusal of a request for which GitLab failed.
pub(super) fn unavailable(error: &GitlabError) -> Error {
    tracing::warn!(error = error.to_string(), "a request to GitLab failed");
    let mut refusal = Refusal::new(ProblemKind::Unavailable, "a request to GitLab failed")
        .detail(error.to_string())
        .retry_after(error.kind.pause().unwrap_or(PAUSE_WHILE_READING));
    if error.kind.is_transient() {
        refusal = refusal.hint("try again later");
    } else if let Some(hint) = error.kind.hint() {
        refusal = refusal.hint(format!("ask the operator of the server to {hint}"));
    }
    refusal.into()
}

/// Returns the refusal of a merge request's URL by a server that watches a folder.
pub(super) fn no_merge_requests(url: &MergeRequestUrl) -> Error {
    Refusal::new(
        ProblemKind::InvalidRequest,
        format!("cannot look up {url}: this server watches a folder, not a GitLab group"),
    )
    .hint("use the branch instead: `pkgbase/branch`")
    .into()
}

/// Returns the refusal of a merge request on another GitLab instance. `watched` is what the server watches.
pub(super) fn other_gitlab(url: &MergeRequestUrl, watched: &str) -> Error {
    let title = format!("{url} is not a URL of this server's GitLab");
    Refusal::new(ProblemKind::InvalidRequest, title)
        .hint(format!("name a merge request of {watched}"))
        .into()
}

/// Returns the refusal of a merge request that GitLab does not find.
pub(super) fn unknown_merge_request(url: &MergeRequestUrl) -> Error {
    let title = format!("merge request {url} not found");
    Refusal::new(ProblemKind::UnknownRef, title)
        .hint("check its number, and whether the server's token can see the project")
        .into()
}

/// Returns the refusal of a merge request of a project outside the group.
pub(super) fn other_project(path: &str, watched: &str) -> Error {
    let title = format!("project `{path}` is not a package repository of this server");
    Refusal::new(ProblemKind::UnknownPkgbase, title)
        .hint(format!("name a merge request of {watched}"))
        .into()
}

/// Returns the refusal of a closed or merged merge request.
pub(super) fn not_open(url: &MergeRequestUrl, state: &str, row: &SourceRepositoryRow) -> Error {
    let branch = row.branch.as_deref().unwrap_or("main");
    let pkgbase = row.pkgbase.as_ref();
    let name = pkgbase.map_or(row.path.as_str(), |pkgbase| pkgbase.as_str());
    let title = format!("the merge request {url} is {state}");
    Refusal::new(ProblemKind::Conflict, title)
        .hint(format!(
            "build the default branch instead: `{name}/{branch}`"
        ))
        .into()
}

/// Returns the refusal of a merge request whose branch has an unusual name.
pub(super) fn invalid_branch(error: impl std::fmt::Display) -> Error {
    Refusal::new(
        ProblemKind::InvalidRequest,
        format!("the branch of the merge request is not a valid ref: {error}"),
    )
    .hint("rename the branch")
    .into()
}

#[cfg(test)]
mod tests;
