//! What a check finds.

use std::path::PathBuf;

use buildbtw_model::{AttemptId, BuildId};

use crate::repos::RepositoryKey;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// SQLite calls the database damaged.
    Database(String),
    /// A package of a finished build is not there, or is not what it was.
    Package {
        /// The build.
        build: BuildId,
        /// The attempt that made it.
        attempt: AttemptId,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A repository's database is not there or does not list what it should.
    RepositoryDatabase {
        /// The repository.
        repository: RepositoryKey,
        /// The file.
        path: PathBuf,
    },
    /// A file or folder that nothing knows.
    Orphan(PathBuf),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(what) => write!(f, "database: {what}"),
            Self::Package {
                build, path, what, ..
            } => write!(f, "{}: {what} (build {build})", path.display()),
            Self::RepositoryDatabase { path, .. } => {
                write!(f, "{}: does not list the built packages", path.display())
            }
            Self::Orphan(path) => write!(f, "{}: unreferenced", path.display()),
        }
    }
}

impl Finding {
    /// What a repair does about it; nothing for what only a backup can undo.
    #[must_use]
    pub fn repair(&self) -> Option<&'static str> {
        match self {
            Self::Database(_) => None,
            Self::Package { .. } => {
                Some("restored from another repository, or its build marked as failed")
            }
            Self::RepositoryDatabase { .. } => Some("rewritten"),
            Self::Orphan(_) => Some("removed"),
        }
    }
}
