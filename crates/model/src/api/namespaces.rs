//! `/namespaces`: namespaces, and plans without one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::iterations::IterationSummary;
use super::problem::ProblemKind;
use crate::{
    Architecture, BuildId, Changeset, CommitHash, NamespaceName, NetworkPolicy, NotBuiltKind,
    OriginSpec, Pkgbase, Priority, RemovedOrigin, Scope,
};

/// A request for a new namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateNamespace {
    /// The origins, at least one.
    pub changesets: Vec<OriginSpec>,
    /// Its name; generated from the first pkgbase and a counter if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NamespaceName>,
    /// How far the rebuild spreads.
    #[serde(default = "default_scope")]
    pub scope: Scope,
    /// Rejects plans with more builds than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)
    )]
    pub max_builds: Option<u32>,
    /// Keeps releases: rebuilt packages get no higher `pkgrel`.
    #[serde(default)]
    pub no_bump: bool,
    /// The network policy of its builds; the server's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkPolicy>,
    /// Shell patterns of pkgbases to rebuild even if the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases not to rebuild; the rebuild does not spread through them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Members of cycles that get a bootstrap build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Assumes that new versions of libraries keep the sonames of the old ones.
    #[serde(default)]
    pub same_sonames: bool,
    /// When to create a new iteration because members changed on their default branch.
    #[serde(default)]
    pub follow_default: FollowDefault,
    /// Which builds are dispatched first; `urgent` needs an admin token.
    #[serde(default)]
    pub priority: Priority,
}

/// A request to change what a namespace rebuilds. It plans a new iteration, which reuses unchanged builds; name, address
/// and repository stay the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EditNamespace {
    /// Origins to add. One of a pkgbase that is an origin already replaces its ref.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<OriginSpec>,
    /// Origins to take out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<RemovedOrigin>,
    /// How far the rebuild spreads from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Shell patterns of pkgbases to rebuild from now on even if the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases not to rebuild from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Patterns to take out of those that are included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_include: Vec<String>,
    /// Patterns to take out of those that are excluded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_exclude: Vec<String>,
    /// Rejects plans with more builds than this from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)
    )]
    pub max_builds: Option<u32>,
    /// Which builds are dispatched first; `urgent` needs an admin token. It plans no iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

/// A request to change the priority of a namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetPriority {
    /// The new priority; `urgent` needs an admin token.
    pub priority: Priority,
    /// Why, for people; it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether changes on default branches lead to new iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FollowDefault {
    /// They do not. Changes of origins still lead to new iterations.
    Never,
    /// They do, after they have been gathered for this many seconds.
    AfterS(u32),
}

impl Default for FollowDefault {
    fn default() -> Self {
        Self::AfterS(600)
    }
}

/// A request for a new iteration of a namespace, even if nothing changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateIteration {
    /// Plans with the current base repositories instead of the previous iteration's snapshot.
    #[serde(default)]
    pub refresh_base: bool,
    /// Members of cycles that get a bootstrap build from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Members of cycles that no longer get a bootstrap build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_bootstrap: Vec<Pkgbase>,
    /// Whether new versions of libraries are assumed to keep the sonames of the old ones from now on; unchanged if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_sonames: Option<bool>,
}

/// A request for new attempts of failed builds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryBuilds {
    /// The source packages whose builds to retry; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pkgbases: Vec<Pkgbase>,
    /// If origins or other members have newer commits, creates a new iteration with them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latest: bool,
}

/// A commit that is newer than the planned one and has different files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewerCommit {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The planned commit.
    pub from: CommitHash,
    /// The newest commit.
    pub to: CommitHash,
}

/// The builds that are retried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetriedBuilds {
    /// The iteration they belong to.
    pub iteration: u32,
    /// The retried builds.
    pub builds: Vec<RetriedBuild>,
    /// Newer commits of origins and other members.
    #[serde(default)]
    pub newer: Vec<NewerCommit>,
    /// Whether the iteration is a new one that contains those commits.
    #[serde(default)]
    pub is_new: bool,
    /// Why newer commits are not built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_built: Vec<NotBuilt>,
}

/// Why newer commits are not built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotBuilt {
    /// The kind of reason.
    pub kind: NotBuiltKind,
    /// The reason, human-readable.
    pub text: String,
}

/// A build that is retried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetriedBuild {
    /// Its number.
    pub id: BuildId,
    /// The source package.
    pub pkgbase: Pkgbase,
    /// The architecture.
    pub architecture: Architecture,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
}

/// A request for the plan of a rebuild, without starting it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanPreview {
    /// The origins, at least one.
    pub changesets: Vec<OriginSpec>,
    /// How far the rebuild would spread.
    #[serde(default = "default_scope")]
    pub scope: Scope,
    /// The architecture; the first configured one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Shell patterns of pkgbases to rebuild even if the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases not to rebuild.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Members of cycles that get a bootstrap build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<Pkgbase>,
    /// Assumes that new versions of libraries keep the sonames of the old ones.
    #[serde(default)]
    pub same_sonames: bool,
    /// Keeps releases.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_bump: bool,
    /// The maximum number of builds that the namespace would be created with; its default if absent. A larger plan is
    /// shown too, and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)
    )]
    pub max_builds: Option<u32>,
    /// How many builds the text lists, and how many rows of each other section; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)
    )]
    pub limit: Option<u32>,
    /// How many lines the text has, about; ignored with a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_i64)
    )]
    pub lines: Option<u32>,
    /// The format of the response.
    #[serde(default)]
    pub format: PlanFormat,
}

/// The format of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanFormat {
    /// Text for humans.
    #[default]
    Text,
    /// JSON for programs.
    Json,
    /// A graph for Graphviz.
    Dot,
}

fn default_scope() -> Scope {
    Scope::Transitive
}

/// A namespace in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamespaceSummary {
    /// Its name.
    pub name: NamespaceName,
    /// Its origins.
    pub changesets: Vec<Changeset>,
    /// How far it spreads.
    pub scope: Scope,
    /// The network policy of its builds, limited to what the server allows.
    #[serde(default)]
    pub network: NetworkPolicy,
    /// Whether it is held: it was cancelled, and nothing is built until it is resumed.
    #[serde(default)]
    pub held: bool,
    /// The name of the token that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// Which builds are dispatched first.
    #[serde(default)]
    pub priority: Priority,
    /// When it was created.
    pub created_at: Timestamp,
    /// The name of the token that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Its newest iteration.
    pub iteration: IterationSummary,
}

/// A namespace with its iterations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamespaceDetail {
    /// The fields that lists show.
    #[serde(flatten)]
    pub summary: NamespaceSummary,
    /// Shell patterns of pkgbases that are rebuilt even if the scope does not reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Shell patterns of pkgbases that are not rebuilt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// All iterations that have not been removed, the newest first.
    pub iterations: Vec<IterationSummary>,
    /// Why planning a new iteration failed when its sources changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan_error: Option<String>,
    /// The kind of that problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan_error_kind: Option<ProblemKind>,
    /// The bytes of its packages on the disk; iterations share files.
    #[serde(default)]
    pub size: u64,
    /// Its address in the web UI.
    pub web_url: String,
}
