//! `/namespaces`: units of work and their iterations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::BuildSummary;
use crate::{Architecture, Changeset, CommitHash, IterationStatus, NamespaceName, Scope};

/// Asks for a new namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNamespace {
    /// What to build, at least one.
    pub changesets: Vec<Changeset>,
    /// Its name; made from the first pkgbase and a counter when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NamespaceName>,
    /// How far the rebuild spreads.
    #[serde(default = "default_scope")]
    pub scope: Scope,
    /// Refuse plans with more builds than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_builds: Option<u32>,
    /// Leave releases as they are: rebuilt packages get no higher `pkgrel`.
    #[serde(default)]
    pub no_bump: bool,
}

fn default_scope() -> Scope {
    Scope::Transitive
}

/// A namespace in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamespaceSummary {
    /// Its name.
    pub name: NamespaceName,
    /// What it builds.
    pub changesets: Vec<Changeset>,
    /// How far it spreads.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its newest iteration.
    pub iteration: IterationSummary,
}

/// A namespace with its iterations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamespaceDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: NamespaceSummary,
    /// All iterations, the newest first.
    pub iterations: Vec<IterationSummary>,
    /// Its address in the web UI.
    pub web_url: String,
}

/// How many builds stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildCounts {
    /// Wait for others.
    pub blocked: u64,
    /// Can be handed out.
    pub ready: u64,
    /// Handed out or being built.
    pub building: u64,
    /// Have packages, built or reused.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl BuildCounts {
    /// All builds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blocked + self.ready + self.building + self.done + self.failed + self.cancelled
    }
}

/// One iteration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IterationSummary {
    /// 1, 2, 3 …
    pub number: u32,
    /// Where it stands.
    pub status: IterationStatus,
    /// Why it was made.
    pub reason: String,
    /// How many builds stand where, all architectures together.
    pub counts: BuildCounts,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When its last build ended.
    pub finished_at: Option<Timestamp>,
}

/// An origin changeset at the commit an iteration was planned with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OriginSummary {
    /// The changeset.
    pub changeset: Changeset,
    /// What its ref was resolved to.
    pub commit: CommitHash,
}

/// An iteration with all its builds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IterationDetail {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: IterationSummary,
    /// The fixed commits of its origins.
    pub origins: Vec<OriginSummary>,
    /// Per architecture.
    pub architectures: Vec<ArchitectureSummary>,
    /// What the planner found worth knowing.
    pub notes: Vec<PlanNote>,
    /// Its builds, in a valid order of building.
    pub builds: Vec<BuildSummary>,
}

/// What there is to say about one architecture of an iteration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArchitectureSummary {
    /// The architecture.
    pub architecture: Architecture,
    /// How many builds stand where.
    pub counts: BuildCounts,
    /// Why nothing moves, for example `no worker for aarch64`.
    pub stalled: Option<String>,
    /// What to put into pacman.conf to use the result.
    pub repository: RepositorySnippet,
}

/// A repository for people to copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepositorySnippet {
    /// Where the database lies, without a trailing slash.
    pub url: String,
    /// A section for pacman.conf(5), to stand above all other repositories.
    pub pacman_conf: String,
}

/// Something the planner found: an unresolved name, a broken cycle, a constraint no longer met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNote {
    /// `problem`, `cycle` or `unresolved`.
    pub kind: String,
    /// One line for people.
    pub text: String,
}
