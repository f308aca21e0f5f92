//! The outcome of a build.

use std::io;
use std::path::{Path, PathBuf};

use buildbtw_model::{Explanation, FailureKind, PackageFileName, Sha256Digest};
use buildbtw_package::TinyPackage;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// The outcome of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildOutcome {
    /// The build produced the expected packages.
    Succeeded {
        /// The packages, in the output folder.
        packages: Vec<BuiltPackage>,
        /// Human-readable remarks, for example that `pkgver()` changed the version.
        notes: Vec<String>,
        /// The PKGBUILD from which they were built, in the output folder. `.BUILDINFO` has its digest.
        pkgbuild: Option<PathBuf>,
    },
    /// The build failed.
    Failed {
        /// Whose fault it is.
        kind: FailureKind,
        /// Why, and what to do next.
        explanation: Explanation,
    },
}

impl BuildOutcome {
    /// Creates a failure.
    #[must_use]
    pub fn failed(kind: FailureKind, explanation: impl Into<Explanation>) -> Self {
        Self::Failed {
            kind,
            explanation: explanation.into(),
        }
    }

    /// Returns whether the build succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Succeeded { .. } => true,
            Self::Failed { .. } => false,
        }
    }
}

impl From<Failure> for BuildOutcome {
    fn from(failure: Failure) -> Self {
        Self::failed(failure.kind, failure.explanation())
    }
}

/// A package that a build produced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltPackage {
    /// The file, in the output folder.
    pub path: PathBuf,
    /// Its name. Name, version and architecture were checked against the package's own metadata.
    pub file_name: PackageFileName,
    /// The digest of the file.
    pub sha256: Sha256Digest,
    /// The size of the file in bytes.
    pub size: u64,
}

impl BuiltPackage {
    /// Writes a tiny package into a folder, for simulated builds and tests.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(package: &TinyPackage, folder: &Path) -> io::Result<Self> {
        let file_name = package.file_name();
        let bytes = package.to_bytes()?;
        let path = folder.join(file_name.as_str());
        fs_err::write(&path, &bytes)?;
        Ok(Self {
            path,
            file_name,
            sha256: Sha256Digest::from_bytes(&Sha256::digest(&bytes).into()),
            size: bytes.len() as u64,
        })
    }
}
