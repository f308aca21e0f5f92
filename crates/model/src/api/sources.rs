//! `/sources`: the package index and what is wrong with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitHash, PackageVersion, Pkgbase, SourceProblemKind};

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
    /// Why it cannot be used, for programs to branch on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_kind: Option<SourceProblemKind>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Lines of its `.SRCINFO` that were left out of planning, with the reason of each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Sources of its package that builds with the server's network policy do not fetch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_fetched: Vec<String>,
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
    /// Where they are: a folder or a group of a GitLab.
    #[serde(default)]
    pub origin: String,
    /// Whether there ever was a full look; before, nothing can be planned.
    #[serde(default = "yes")]
    pub complete: bool,
    /// When the last full look since the server's start ended; absent before the first has.
    pub last_scan_at: Option<Timestamp>,
    /// When what moved was last looked at, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_poll_at: Option<Timestamp>,
    /// How far the full look that is under way has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<SourcesProgress>,
    /// What keeps the sources from being looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SourcesOutage>,
}

fn yes() -> bool {
    true
}

/// How far a full look at the sources has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcesProgress {
    /// Repositories looked at.
    pub seen: u64,
    /// Of how many, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What keeps the sources from being looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcesOutage {
    /// In words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}
