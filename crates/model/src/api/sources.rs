//! `/sources`: the source repositories and their problems.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommitHash, Explanation, PackageVersion, Pkgbase, SourceProblemKind};

/// A source repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceRepositorySummary {
    /// Its path, relative to the watched folder or group.
    pub path: String,
    /// Its pkgbase, if its `.SRCINFO` could be read.
    pub pkgbase: Option<Pkgbase>,
    /// The version on its default branch.
    pub version: Option<PackageVersion>,
    /// The default branch.
    pub branch: Option<String>,
    /// The head of the default branch.
    pub commit: Option<CommitHash>,
    /// Why it cannot be used, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem_kind: Option<SourceProblemKind>,
    /// Why it cannot be used, for humans.
    pub problem: Option<String>,
    /// What to do about the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Lines of its `.SRCINFO` that planning ignores, with the reasons.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Sources that builds do not fetch under the server's network policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_fetched: Vec<String>,
    /// When its last change was found.
    pub changed_at: Timestamp,
}

impl SourceRepositorySummary {
    /// Returns its problem with the hint.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation> {
        Explanation::of(self.problem.clone(), self.hint.clone())
    }
}

/// The state of all sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcesOverview {
    /// How many repositories can be used.
    pub usable: u64,
    /// How many repositories are broken.
    pub broken: u64,
    /// Where they are: a folder or a GitLab group.
    #[serde(default)]
    pub origin: String,
    /// Whether the initial sync has completed; nothing can be planned before.
    #[serde(default = "default_true")]
    pub complete: bool,
    /// When the last full resync since the server's start ended; absent before the first one has.
    pub last_scan_at: Option<Timestamp>,
    /// When the sources were last polled for recent activity, if they are polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_poll_at: Option<Timestamp>,
    /// The progress of the running full resync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<SourcesProgress>,
    /// Why the sources cannot be polled or resynced at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<SourcesOutage>,
}

fn default_true() -> bool {
    true
}

/// The progress of a full resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcesProgress {
    /// How many repositories have been read.
    pub seen: u64,
    /// The total, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A period in which the sources cannot be polled or resynced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcesOutage {
    /// The cause, human-readable.
    pub message: String,
    /// What the operator of the server can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it began.
    pub since: Timestamp,
}

/// The branches of a source repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceRefs {
    /// The default branch, if it is known.
    #[serde(default)]
    pub default: Option<String>,
    /// Branches, without `refs/heads/`.
    pub branches: Vec<String>,
}
