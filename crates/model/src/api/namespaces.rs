//! `/namespaces`: units of work and their iterations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::builds::BuildSummary;
use crate::{
    Architecture, BuildId, ChangeKind, Changeset, CommitHash, IterationStatus, NamespaceName,
    NetworkPolicy, NoteKind, OriginSpec, Pkgbase, Scope,
};

/// Asks for a new namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNamespace {
    /// What to build, at least one.
    pub changesets: Vec<OriginSpec>,
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
    /// What its builds reach of the network; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkPolicy>,
    /// Shell patterns of pkgbases to rebuild although the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases to leave alone; nothing spreads through them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Members of cycles to build first without what they need of their cycle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Expect that new versions of libraries keep the sonames of the old ones.
    #[serde(default)]
    pub same_sonames: bool,
    /// When to make a new iteration because packages of the graph changed on their default branch.
    #[serde(default)]
    pub follow_default: FollowDefault,
}

/// Whether changes of default branches lead to new iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowDefault {
    /// They do not. Changes of origins still do.
    Never,
    /// They are gathered for this many seconds first.
    AfterS(u32),
}

impl Default for FollowDefault {
    fn default() -> Self {
        Self::AfterS(600)
    }
}

/// Asks for a new iteration of a namespace, whether anything changed or not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateIteration {
    /// Plan with what the base repositories hold now, instead of the snapshot of the iteration
    /// before.
    #[serde(default)]
    pub refresh_base: bool,
    /// Members of cycles to build first without what they need of their cycle, from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Members of cycles that are not built like that any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are expected to keep the sonames of the old ones, from now on; as
    /// before when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_sonames: Option<bool>,
}

/// Asks for new attempts of failed builds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryBuilds {
    /// Those of these source packages; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pkgbases: Vec<Pkgbase>,
    /// Take newer commits, in a new iteration, where origins or other members have some.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latest: bool,
}

/// A commit that is newer than the one a build was planned with, and holds other files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewerCommit {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The commit it was planned with.
    pub from: CommitHash,
    /// The newest one.
    pub to: CommitHash,
}

/// The builds that are tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetriedBuilds {
    /// The iteration they belong to.
    pub iteration: u32,
    /// The builds.
    pub builds: Vec<RetriedBuild>,
    /// Newer commits of origins and other members.
    #[serde(default)]
    pub newer: Vec<NewerCommit>,
    /// Whether the iteration is a new one, made of those commits. Otherwise it does not hold them.
    #[serde(default)]
    pub is_new: bool,
    /// What keeps newer commits from being built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A build that is tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetriedBuild {
    /// Its number.
    pub id: BuildId,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// What for.
    pub architecture: Architecture,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
}

/// Asks what a rebuild would be, without starting it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPreview {
    /// What would be built, at least one.
    pub changesets: Vec<OriginSpec>,
    /// How far the rebuild would spread.
    #[serde(default = "default_scope")]
    pub scope: Scope,
    /// For which architecture; the first configured one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Shell patterns of pkgbases to rebuild although the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases to leave alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Members of cycles to build first without what they need of their cycle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Expect that new versions of libraries keep the sonames of the old ones.
    #[serde(default)]
    pub same_sonames: bool,
    /// Leave releases as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_bump: bool,
    /// The form of the answer.
    #[serde(default)]
    pub format: PlanFormat,
}

/// The forms a plan is shown in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
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
    /// What its builds reach of the network, as far as the server allows it.
    #[serde(default)]
    pub network: NetworkPolicy,
    /// Whether it is cancelled: nothing of it is built until it is resumed.
    #[serde(default)]
    pub held: bool,
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
    /// All iterations that are kept, the newest first.
    pub iterations: Vec<IterationSummary>,
    /// Why planning a new iteration failed when its sources changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan_error: Option<String>,
    /// The bytes of its packages on the disk; iterations share files.
    #[serde(default)]
    pub size: u64,
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
    /// The iteration that took its place, if one did.
    #[serde(default)]
    pub superseded_by: Option<u32>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When its last build ended.
    pub finished_at: Option<Timestamp>,
    /// When its last build is expected to end, as long as it is running and workers are there.
    #[serde(default)]
    pub eta: Option<Timestamp>,
    /// The bytes of its packages.
    #[serde(default)]
    pub size: u64,
}

/// A difference from the iteration before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IterationChange {
    /// The architecture.
    pub architecture: Architecture,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Its commit before.
    pub from: Option<CommitHash>,
    /// Its commit now.
    pub to: Option<CommitHash>,
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
    /// What differs from the iteration before; nothing for the first.
    #[serde(default)]
    pub changes: Vec<IterationChange>,
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
    /// What it serves, in a sentence or two.
    #[serde(default)]
    pub note: String,
}

/// Something the planner found: an unresolved name, a broken cycle, a constraint no longer met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNote {
    /// What it is about.
    pub kind: NoteKind,
    /// One line for people.
    pub text: String,
}
