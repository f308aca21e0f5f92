//! The errors of reading a package file.

use std::io;

/// An error that makes a package file unusable.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file cannot be read from disk.
    #[error("cannot read the package: {0}")]
    Io(io::Error),
    /// The caller stopped reading.
    #[error("reading the package was stopped")]
    Stopped,
    /// The file is not an archive, or it is damaged.
    #[error("not a readable package archive: {0}")]
    Archive(io::Error),
    /// The content is not accepted.
    #[error("{0}")]
    Refused(String),
    /// The metadata contradicts the file name or the build.
    #[error("its .PKGINFO has {key} = {found:?}, not {expected:?}")]
    Mismatch {
        /// The key in `.PKGINFO`.
        key: &'static str,
        /// The value, empty when it is missing.
        found: String,
        /// The required value.
        expected: String,
    },
}

impl PackageError {
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sonames::Sonames;
    use crate::{archive, list};

    #[test]
    fn errors_match_snapshot() {
        let errors = [
            PackageError::Io(io::ErrorKind::PermissionDenied.into()),
            PackageError::Stopped,
            archive::too_many_members(),
            list::too_long(),
        ];
        let mut errors = errors.map(|error| error.to_string()).to_vec();
        errors.push("nothing".parse::<Sonames>().unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"));
    }
}
