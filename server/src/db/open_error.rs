//! Why the database cannot be used, and what to do about it.

use buildbtw_model::Explanation;
use sqlx::migrate::MigrateError;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open the file.
    #[error("cannot open the database `{path}`: {source}")]
    Open {
        /// The file.
        path: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The file is damaged.
    #[error("the database `{path}` is damaged ({finding}); nothing was changed")]
    Damaged {
        /// The file.
        path: String,
        /// The first damage that SQLite found.
        finding: String,
    },
    /// The file's schema is older or newer than this program supports.
    #[error("cannot migrate the database `{path}`: {source}")]
    Migrate {
        /// The file.
        path: String,
        /// The cause.
        source: MigrateError,
    },
}

impl OpenError {
    /// Returns what failed and what to do next.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        let message = self.to_string();
        match self {
            Self::Damaged { .. } => Explanation::with_hint(
                message,
                "stop everything that uses it, move it aside with its -wal and -shm files, restore the newest \
                 backup and start again",
            ),
            Self::Migrate {
                source: MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_),
                ..
            } => Explanation::with_hint(
                message,
                "start the version that wrote it, or restore a backup of this version",
            ),
            Self::Migrate { .. } => Explanation::with_hint(
                message,
                "restore the newest backup, or start the server again if the disk was full",
            ),
            Self::Open { .. } => Explanation::with_hint(
                message,
                "let the server's user read and write it and its folder, and check the disk",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_match_snapshot() {
        let path = || "data/buildbtw.sqlite3".to_owned();
        let migrate = |source| OpenError::Migrate {
            path: path(),
            source,
        };
        let errors = [
            OpenError::Open {
                path: path(),
                source: sqlx::Error::Io(std::io::Error::other("permission denied")),
            },
            OpenError::Damaged {
                path: path(),
                finding: "row 3 missing from index".to_owned(),
            },
            migrate(MigrateError::VersionMissing(20_990_101_000_000)),
            migrate(MigrateError::VersionMismatch(20_260_101_000_000)),
            migrate(MigrateError::Dirty(20_260_101_000_000)),
        ];
        for error in &errors {
            match error {
                OpenError::Open { .. } | OpenError::Damaged { .. } | OpenError::Migrate { .. } => {}
            }
        }
        let text = errors.map(|error| error.explanation().to_string());
        insta::assert_snapshot!(text.join("\n\n"));
    }
}
