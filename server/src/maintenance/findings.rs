//! Problems that a check finds.

use std::path::PathBuf;

use buildbtw_model::{AttemptId, BuildId};

use crate::repos::RepositoryKey;

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// SQLite reports the database as damaged.
    Database(String),
    /// A package of a finished build is missing, or differs from the upload.
    Package {
        /// The build.
        build: BuildId,
        /// The attempt that built it.
        attempt: AttemptId,
        /// Its path.
        path: PathBuf,
        /// The difference.
        what: String,
    },
    /// A package that was accepted for a build and is not published yet is missing, or has another size.
    Upload {
        /// The build.
        build: BuildId,
        /// Its path.
        path: PathBuf,
    },
    /// A repository database is missing, or does not match the builds.
    RepositoryDatabase {
        /// The repository.
        repository: RepositoryKey,
        /// The file.
        path: PathBuf,
    },
    /// A file or folder that the database does not refer to.
    Orphan(PathBuf),
    /// A file or folder that does not belong to the owner of the data folder, so that the server cannot read it.
    Owner {
        /// Its path.
        path: PathBuf,
        /// The user that it belongs to.
        user: u32,
        /// The owner of the data folder.
        owner: u32,
        /// Whether the process may change that.
        is_repairable: bool,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(what) => write!(f, "database: {what}"),
            Self::Package {
                build, path, what, ..
            } => write!(f, "{}: {what} (build {build})", path.display()),
            Self::Upload { build, path } => write!(
                f,
                "{}: this upload is missing or incomplete (build {build})",
                path.display()
            ),
            Self::RepositoryDatabase { path, .. } => {
                write!(f, "{}: does not list the built packages", path.display())
            }
            Self::Orphan(path) => write!(f, "{}: unreferenced", path.display()),
            Self::Owner {
                path, user, owner, ..
            } => write!(
                f,
                "{}: belongs to user {user}, but the data folder to user {owner}",
                path.display()
            ),
        }
    }
}

impl Finding {
    /// Returns what a repair does; nothing if only a backup helps.
    #[must_use]
    pub fn repair(&self) -> Option<&'static str> {
        match self {
            Self::Database(_) | Self::Upload { .. } => None,
            Self::Package { .. } => {
                Some("restored from another repository, or its build marked as failed")
            }
            Self::RepositoryDatabase { .. } => Some("rewritten"),
            Self::Orphan(_) => Some("removed"),
            Self::Owner { is_repairable, .. } => {
                is_repairable.then_some("given to the owner of the data folder")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::discarded;
    use super::*;

    #[test]
    fn findings_match_snapshot() {
        let (build, attempt) = (BuildId(7), AttemptId::new());
        let package = |what: &str| Finding::Package {
            build,
            attempt,
            path: "repos/a.pkg.tar.zst".into(),
            what: what.to_owned(),
        };
        let repository = RepositoryKey {
            namespace: "set".parse().unwrap(),
            iteration: 1,
            architecture: "x86_64".parse().unwrap(),
        };
        let owner = |is_repairable| Finding::Owner {
            path: "repos".into(),
            user: 0,
            owner: 7,
            is_repairable,
        };
        let findings = [
            Finding::Database("database disk image is malformed".to_owned()),
            package("is missing"),
            Finding::Upload {
                build,
                path: "uploads/a.pkg.tar.zst".into(),
            },
            Finding::RepositoryDatabase {
                repository,
                path: "repos/set.db".into(),
            },
            Finding::Orphan("repos/old".into()),
            owner(true),
            owner(false),
        ];
        let mut lines: Vec<String> = findings
            .iter()
            .map(|finding| format!("{finding}\nrepair: {}", finding.repair().unwrap_or("none")))
            .collect();
        lines.push(discarded("a.pkg.tar.zst", "is missing"));
        insta::assert_snapshot!(lines.join("\n\n"));
    }
}
