//! `/namespaces/{name}/iterations`: the plans of a namespace.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::builds::BuildSummary;
use crate::{
    Architecture, ChangeKind, Changeset, CommitHash, IterationCause, IterationStatus, NoteKind,
    Pkgbase, StallKind,
};

/// How many builds are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BuildCounts {
    /// Builds that wait for others.
    pub blocked: u64,
    /// Builds that can be dispatched.
    pub ready: u64,
    /// Builds that are dispatched or building.
    pub building: u64,
    /// Builds that have packages, built or reused.
    pub done: u64,
    /// Failed builds.
    pub failed: u64,
    /// Cancelled builds.
    pub cancelled: u64,
}

impl BuildCounts {
    /// Returns the number of all builds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blocked + self.ready + self.building + self.done + self.failed + self.cancelled
    }
}

/// An iteration in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IterationSummary {
    /// 1, 2, 3 …
    pub number: u32,
    /// Its status.
    pub status: IterationStatus,
    /// Why it was created, human-readable.
    pub reason: String,
    /// Why it was created; empty for iterations of servers that did not record it.
    #[serde(default)]
    pub causes: Vec<IterationCause>,
    /// How many builds are in which state, for all architectures together.
    pub counts: BuildCounts,
    /// The iteration that superseded it, if any.
    #[serde(default)]
    pub superseded_by: Option<u32>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When its last build ended.
    pub finished_at: Option<Timestamp>,
    /// When its last build is expected to end, while it is running and workers are available. Absent in lists of
    /// namespaces and iterations, and while no duration is known: of its builds, none has ended, and none is of a
    /// package with an earlier build.
    #[serde(default)]
    pub eta: Option<Timestamp>,
    /// When its last build ends if all are as fast as the fastest quarter of their earlier builds.
    #[serde(default)]
    pub eta_from: Option<Timestamp>,
    /// When its last build ends if all are as slow as the slowest quarter of their earlier builds.
    #[serde(default)]
    pub eta_to: Option<Timestamp>,
    /// How many of the builds that have not ended are of packages without an earlier build, while it is running. Absent
    /// in lists of namespaces and iterations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_durations: u64,
    /// The bytes of its packages.
    #[serde(default)]
    pub size: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A difference from the previous iteration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IterationChange {
    /// The architecture.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The kind of change.
    pub kind: ChangeKind,
    /// Its commit before.
    pub from: Option<CommitHash>,
    /// Its commit now.
    pub to: Option<CommitHash>,
}

/// An origin with the commit that an iteration was planned with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OriginSummary {
    /// The changeset.
    pub changeset: Changeset,
    /// The commit that its ref resolved to.
    pub commit: CommitHash,
}

/// An iteration. Its builds are a list of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IterationOverview {
    /// The fields that lists show.
    #[serde(flatten)]
    pub summary: IterationSummary,
    /// Its origins with their fixed commits.
    pub origins: Vec<OriginSummary>,
    /// Its architectures.
    pub architectures: Vec<ArchitectureSummary>,
    /// Notes of the planner and the server.
    pub notes: Vec<PlanNote>,
    /// The differences from the previous iteration; empty for the first one.
    #[serde(default)]
    pub changes: Vec<IterationChange>,
}

impl IterationOverview {
    /// Returns the iteration with its builds.
    #[must_use]
    pub fn with_builds(self, builds: Vec<BuildSummary>) -> IterationDetail {
        IterationDetail {
            summary: self.summary,
            origins: self.origins,
            architectures: self.architectures,
            notes: self.notes,
            changes: self.changes,
            builds,
        }
    }
}

/// An iteration with all its builds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IterationDetail {
    /// The fields that lists show.
    #[serde(flatten)]
    pub summary: IterationSummary,
    /// Its origins with their fixed commits.
    pub origins: Vec<OriginSummary>,
    /// Its architectures.
    pub architectures: Vec<ArchitectureSummary>,
    /// Notes of the planner and the server.
    pub notes: Vec<PlanNote>,
    /// The differences from the previous iteration; empty for the first one.
    #[serde(default)]
    pub changes: Vec<IterationChange>,
    /// Its builds, in a valid build order.
    pub builds: Vec<BuildSummary>,
}

/// One architecture of an iteration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArchitectureSummary {
    /// The architecture.
    pub architecture: Architecture,
    /// How many builds are in which state.
    pub counts: BuildCounts,
    /// Why no build makes progress, for example `no worker for aarch64`.
    pub stalled: Option<String>,
    /// The kind of that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_kind: Option<StallKind>,
    /// The configuration that makes pacman use the result.
    pub repository: RepositorySnippet,
}

/// A pacman repository, with a section to copy into pacman.conf(5).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositorySnippet {
    /// The folder URL of the database, without a trailing slash.
    pub url: String,
    /// A section for pacman.conf(5), to be placed above all other repositories.
    pub pacman_conf: String,
    /// What the repository contains, in one or two sentences.
    #[serde(default)]
    pub note: String,
}

/// A note of the planner: an unresolved name, a broken cycle, a constraint that is no longer met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanNote {
    /// The kind of note.
    pub kind: NoteKind,
    /// One line for humans.
    pub text: String,
}
