//! Why a package file is refused.

use std::io;

/// Why a file is not a package that can be published.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// It cannot be read from disk.
    #[error("cannot read the package: {0}")]
    Io(io::Error),
    /// Reading it was stopped by the caller.
    #[error("reading the package was stopped")]
    Stopped,
    /// It is not an archive, or it is damaged.
    #[error("not a readable package archive: {0}")]
    Archive(io::Error),
    /// Its content is refused.
    #[error("{0}")]
    Refused(String),
    /// Its metadata contradicts its file name or the build.
    #[error("its .PKGINFO says {key} = {found:?}, not {expected:?}")]
    Mismatch {
        /// The key in `.PKGINFO`.
        key: &'static str,
        /// Its value, empty when it is missing.
        found: String,
        /// The value it must have.
        expected: String,
    },
}

impl PackageError {
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}
