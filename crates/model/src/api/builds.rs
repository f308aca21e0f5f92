//! `/builds`: one pkgbase of an iteration.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempts::AttemptSummary;
use crate::{
    Architecture, AttemptId, BuildId, BuildStatus, CommitHash, Explanation, NamespaceName,
    PackageFileName, PackageVersion, Pkgbase, Sha256Digest, VersionNoteKind,
};

/// A build in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildSummary {
    /// Its number.
    pub id: BuildId,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture it is built for.
    pub architecture: Architecture,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The length of the longest path from a build without needs.
    pub level: u32,
    /// Its status.
    pub status: BuildStatus,
    /// The commit to build.
    pub commit: CommitHash,
    /// The version of its packages, planned or built.
    pub version: PackageVersion,
    /// A note about that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_note: Option<String>,
    /// The kind of that note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_note_kind: Option<VersionNoteKind>,
    /// The chain of dependencies from an origin to this package, both included.
    pub reason: Vec<Pkgbase>,
    /// How it depends on the one before it in `reason` if it declares no such dependency: `links libfoo.so.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Whether it is a bootstrap build, which omits dependencies in its own cycle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bootstrap: bool,
    /// What is wrong, or what it waits for, in one line.
    pub message: Option<String>,
    /// For a failed or retried build: what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// For a blocked build: the failed or cancelled builds that block it.
    #[serde(default)]
    pub blocked_by: Vec<Pkgbase>,
    /// For a blocked build in an iteration: its direct needs that have no packages yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Pkgbase>,
    /// The newest attempt, if any; for a reused build the one that built its packages.
    pub attempt: Option<AttemptId>,
    /// Where its packages were built, if it is reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<ReusedFrom>,
    /// When its newest attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How long it is expected to take, in seconds.
    #[serde(default)]
    pub estimate_s: u64,
    /// Whether that is the duration of earlier builds of its package. Otherwise it is that of other packages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate_is_known: bool,
    /// When it is expected to end, while its iteration is running and workers are available.
    #[serde(default)]
    pub eta: Option<Timestamp>,
}

impl BuildSummary {
    /// Returns its message with the hint.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation> {
        Explanation::of(self.message.clone(), self.hint.clone())
    }
}

/// Where the packages of a reused build were built.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReusedFrom {
    /// The attempt that built them. Its log is kept as long as the packages.
    pub attempt: AttemptId,
    /// Its number within its build.
    pub number: u32,
    /// The namespace of that build; absent if it was not recorded before the namespace was removed.
    #[serde(default)]
    pub namespace: Option<NamespaceName>,
    /// Whether that namespace was deleted.
    #[serde(default)]
    pub namespace_deleted: bool,
    /// The number of that build's iteration.
    #[serde(default)]
    pub iteration: Option<u32>,
    /// That build, while its iteration is kept.
    #[serde(default)]
    pub build: Option<BuildId>,
    /// The architecture of that build.
    pub architecture: Architecture,
    /// Its stage.
    pub stage: u32,
    /// The attempt with its worker and times; only in the details of a build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Box<AttemptSummary>>,
}

impl std::fmt::Display for ReusedFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            None => f.write_str("a deleted namespace")?,
            Some(name) if self.namespace_deleted => write!(f, "namespace {name} (deleted)")?,
            Some(name) => write!(f, "namespace {name}")?,
        }
        if let Some(number) = self.iteration {
            write!(f, ", iteration {number}")?;
            if self.build.is_none() && !self.namespace_deleted {
                f.write_str(" (removed)")?;
            }
        }
        write!(f, ", attempt {}", self.number)
    }
}

/// A build with its attempts and packages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildDetail {
    /// The build as listed.
    #[serde(flatten)]
    pub summary: BuildSummary,
    /// The namespace it belongs to.
    pub namespace: NamespaceName,
    /// The iteration it belongs to.
    pub iteration: u32,
    /// The builds it waits for directly.
    pub needs: Vec<BuildSummary>,
    /// The builds that wait for it directly.
    pub needed_by: Vec<BuildSummary>,
    /// All attempts, the newest first.
    pub attempts: Vec<AttemptSummary>,
    /// The packages it produced.
    pub packages: Vec<PackageSummary>,
}

/// A package file in the namespace repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackageSummary {
    /// Its file name.
    pub file_name: PackageFileName,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// The URL to download it from.
    pub url: String,
}
