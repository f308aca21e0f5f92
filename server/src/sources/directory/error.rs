//! Errors of reading git repositories.

use buildbtw_model::SourceProblemKind;

use crate::db::source_repositories::SourceProblem;

/// How many branches a message lists.
const SHOWN: usize = 5;

/// The reason for which a repository could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("not a git repository: {0}")]
    NotARepository(String),
    #[error("the default branch has no commits")]
    Empty,
    /// `HEAD` names a branch that does not exist, although others do.
    #[error(
        "HEAD names the branch `{branch}`, which does not exist; the repository has {}. \
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

/// Lists the first few names, quoted.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

/// Returns a constructor of errors that name `what` could not be read, with all causes that git's library reports.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_match_snapshot() {
        let unborn = |count: usize| GitError::Unborn {
            path: "/srv/sources/libgreet".to_owned(),
            branch: "master".to_owned(),
            branches: (0..count).map(|number| format!("b{number}")).collect(),
            other: "b0".to_owned(),
        };
        let errors = [
            GitError::NotARepository("it has no HEAD".to_owned()),
            GitError::Empty,
            unborn(1),
            unborn(7),
            GitError::UnknownRef,
            unreadable("the objects")(std::io::Error::other("bad object")),
        ];
        for error in &errors {
            match error {
                GitError::NotARepository(_)
                | GitError::Empty
                | GitError::Unborn { .. }
                | GitError::UnknownRef
                | GitError::Broken(_) => {}
            }
        }
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"));
    }
}
