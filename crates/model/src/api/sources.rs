//! `/sources`: the package index and what is wrong with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitHash, PackageVersion, Pkgbase};

/// One source repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceRepositorySummary {
    /// Where it lies, relative to the watched folder or group.
    pub path: String,
    /// The pkgbase it holds, when its `.SRCINFO` could be read.
    pub pkgbase: Option<Pkgbase>,
    /// The version on its default branch.
    pub version: Option<PackageVersion>,
    /// The default branch.
    pub branch: Option<String>,
    /// The head of the default branch.
    pub commit: Option<CommitHash>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Lines of its `.SRCINFO` that were left out of planning, with the reason of each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// When it was last found changed.
    pub changed_at: Timestamp,
}

/// The state of the sources as a whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourcesOverview {
    /// How many repositories can be used.
    pub usable: u64,
    /// How many cannot.
    pub broken: u64,
    /// When the last full look at them ended; absent before the first has.
    pub last_scan_at: Option<Timestamp>,
}
