//! Why iterations are created.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::changeset::Changeset;
use crate::ids::{CommitHash, Pkgbase};

/// The maximum number of pkgbases in the text of a cause.
const MAX_NAMES: usize = 5;

/// A cause of an iteration. Several can coincide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IterationCause {
    /// The namespace was created.
    Created,
    /// A user requested it.
    Requested {
        /// Whether it was planned with the current base repositories instead of those of the previous iteration.
        refresh_base: bool,
    },
    /// A user changed what the namespace rebuilds.
    Edited {
        /// The changes, for people.
        changes: String,
    },
    /// The ref of an origin points to other files than in the previous iteration.
    OriginMoved {
        /// The origin.
        changeset: Changeset,
        /// The commit that its ref points to now.
        commit: CommitHash,
    },
    /// Packages of the rebuild other than its origins have new commits.
    NewCommits {
        /// These packages, in alphabetical order.
        pkgbases: Vec<Pkgbase>,
    },
    /// The plan differs although no package has a new commit.
    DependenciesChanged,
    /// A cause that only a newer server knows.
    #[serde(other)]
    Unknown,
}

impl IterationCause {
    /// Returns the text for several causes.
    #[must_use]
    pub fn describe(causes: &[Self]) -> String {
        let texts: Vec<String> = causes.iter().map(Self::to_string).collect();
        texts.join("; ")
    }
}

impl fmt::Display for IterationCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Requested {
                refresh_base: false,
            } => f.write_str("requested"),
            Self::Requested { refresh_base: true } => {
                f.write_str("requested, with the current base repositories")
            }
            Self::Edited { changes } => write!(f, "edited: {changes}"),
            Self::OriginMoved { changeset, commit } => {
                write!(f, "{changeset} moved to {}", commit.short())
            }
            Self::NewCommits { pkgbases } => {
                let names: Vec<&str> = pkgbases
                    .iter()
                    .take(MAX_NAMES)
                    .map(Pkgbase::as_str)
                    .collect();
                write!(f, "new commits of {}", names.join(", "))?;
                match pkgbases.len().saturating_sub(MAX_NAMES) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::DependenciesChanged => f.write_str("the dependencies between packages changed"),
            Self::Unknown => f.write_str("another cause"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_causes_for_people() {
        let pkgbases = (0..7).map(|n| format!("p{n}").parse().unwrap()).collect();
        let causes = [
            IterationCause::OriginMoved {
                changeset: "libgreet/main".parse().unwrap(),
                commit: "c".repeat(40).parse().unwrap(),
            },
            IterationCause::NewCommits { pkgbases },
        ];
        assert_eq!(
            IterationCause::describe(&causes),
            "libgreet/main moved to cccccccccc; new commits of p0, p1, p2, p3, p4 and 2 more"
        );
    }

    #[test]
    fn reads_causes_of_newer_servers() {
        let text = r#"[{"kind":"created"},{"kind":"requested","refresh_base":true},{"kind":"moon","phase":"full"}]"#;
        let causes: Vec<IterationCause> = serde_json::from_str(text).unwrap();
        assert_eq!(causes[1], IterationCause::Requested { refresh_base: true });
        assert_eq!(causes[2], IterationCause::Unknown);
    }
}
