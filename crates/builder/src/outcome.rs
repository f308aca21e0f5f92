//! How a build ended.

use std::path::PathBuf;

use buildbtw_model::{FailureKind, PackageFileName, Sha256Digest};
use serde::{Deserialize, Serialize};

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildOutcome {
    /// It produced what was expected.
    Succeeded {
        /// The packages, in the output folder.
        packages: Vec<BuiltPackage>,
        /// What people should know, for example a version that `pkgver()` changed.
        notes: Vec<String>,
        /// The PKGBUILD that they were built with, in the output folder. `.BUILDINFO` has its digest.
        pkgbuild: Option<PathBuf>,
    },
    /// It did not.
    Failed {
        /// Whose fault it is.
        kind: FailureKind,
        /// What happened, for people.
        message: String,
    },
}

impl BuildOutcome {
    /// A failure.
    pub fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            message: message.into(),
        }
    }

    /// Whether packages came out.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Succeeded { .. } => true,
            Self::Failed { .. } => false,
        }
    }
}

/// A package that a build produced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltPackage {
    /// The file, in the output folder.
    pub path: PathBuf,
    /// Its name; name, version and architecture were checked against the package's own metadata.
    pub file_name: PackageFileName,
    /// The digest of the file.
    pub sha256: Sha256Digest,
    /// The size of the file in bytes.
    pub size: u64,
}
