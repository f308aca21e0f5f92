//! Errors of reading git repositories.

use buildbtw_model::SourceProblemKind;

use crate::db::source_repositories::SourceProblem;
use crate::sources::kind::FSCK;

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
        "HEAD names the branch `{branch}`, which does not exist; the repository has {}",
        list(.branches)
    )]
    Unborn {
        path: String,
        branch: String,
        branches: Vec<String>,
        other: String,
    },
    #[error("no such branch, tag or commit")]
    UnknownRef,
    /// An abbreviated hash that several objects share.
    #[error("several objects have a hash that begins with `{0}`")]
    Ambiguous(String),
    #[error("{0}")]
    Broken(String),
}

impl GitError {
    /// Returns what to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotARepository(_) => {
                Some("clone it again, or remove it from the folder of sources".to_owned())
            }
            Self::Empty => Some("push its first commit".to_owned()),
            Self::Unborn { path, other, .. } => Some(format!(
                "run `git -C '{path}' symbolic-ref HEAD refs/heads/{other}`"
            )),
            Self::Broken(_) => Some(FSCK.to_owned()),
            Self::Ambiguous(_) => Some("name the commit with more digits".to_owned()),
            Self::UnknownRef => None,
        }
    }
}

impl From<&GitError> for SourceProblem {
    fn from(error: &GitError) -> Self {
        let kind = match error {
            GitError::Empty => SourceProblemKind::Empty,
            GitError::Unborn { .. } => SourceProblemKind::NoDefaultBranch,
            GitError::NotARepository(_)
            | GitError::UnknownRef
            | GitError::Ambiguous(_)
            | GitError::Broken(_) => SourceProblemKind::Unreadable,
        };
        Self {
            kind,
            message: error.to_string(),
            hint: error.hint(),
        }
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
            GitError::Ambiguous("4f2a".to_owned()),
            unreadable("the objects")(std::io::Error::other("bad object")),
        ];
        for error in &errors {
            match error {
                GitError::NotARepository(_)
                | GitError::Empty
                | GitError::Unborn { .. }
                | GitError::UnknownRef
                | GitError::Ambiguous(_)
                | GitError::Broken(_) => {}
            }
        }
        let problems = errors.map(|error| SourceProblem::from(&error).explanation().to_string());
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn hint_about_missing_default_branch_is_not_part_of_the_message() {
        let problem = SourceProblem::from(&GitError::Unborn {
            path: "/srv/sources/libgreet".to_owned(),
            branch: "master".to_owned(),
            branches: vec!["main".to_owned()],
            other: "main".to_owned(),
        });
        assert_eq!(problem.kind, SourceProblemKind::NoDefaultBranch);
        assert!(problem.message.ends_with("the repository has `main`"));
        let command = "run `git -C '/srv/sources/libgreet' symbolic-ref HEAD refs/heads/main`";
        assert_eq!(problem.hint.as_deref(), Some(command));
    }
}
