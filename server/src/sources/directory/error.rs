//! Why a git repository could not be read.

use buildbtw_model::SourceProblemKind;

use crate::db::source_repositories::SourceProblem;

/// How many branches a message lists.
const SHOWN: usize = 5;

/// Why a repository could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("not a git repository: {0}")]
    NotARepository(String),
    #[error("the default branch has no commits")]
    Empty,
    /// `HEAD` names a branch that does not exist, though others do.
    #[error(
        "HEAD names the branch '{branch}', which does not exist; the repository has {}. \
         Fix it with `git -C '{path}' symbolic-ref HEAD refs/heads/{other}`", list(.branches)
    )]
    Unborn {
        path: String,
        branch: String,
        branches: Vec<String>,
        other: String,
    },
    #[error("no such branch, tag or commit")]
    UnknownRef,
    #[error("{0}")]
    Broken(String),
}

impl From<&GitError> for SourceProblem {
    fn from(error: &GitError) -> Self {
        let kind = match error {
            GitError::Empty => SourceProblemKind::Empty,
            GitError::Unborn { .. } => SourceProblemKind::NoDefaultBranch,
            GitError::NotARepository(_) | GitError::UnknownRef | GitError::Broken(_) => {
                SourceProblemKind::Unreadable
            }
        };
        Self::new(kind, error.to_string())
    }
}

/// Names in quotes, the first few of them.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("'{name}'"))
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

/// What cannot be read, and why, with every cause that git's library knows.
pub(super) fn unreadable<E: std::error::Error>(
    what: impl std::fmt::Display,
) -> impl FnOnce(E) -> GitError {
    move |error| {
        let mut reasons = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !reasons.contains(&text) {
                reasons.push(text);
            }
            source = cause.source();
        }
        GitError::Broken(format!("cannot read {what}: {}", reasons.join(": ")))
    }
}
