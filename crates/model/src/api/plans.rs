//! Plans as JSON: what `POST /plans` answers, and `buildbtw plan --json` prints.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Architecture, AttemptId, NamespaceName, PackageVersion, Pkgbase, Scope};

/// The plan of a rebuild.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanDocument {
    /// The architecture it is planned for.
    pub architecture: Architecture,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// The builds; each comes after those that it needs.
    pub builds: Vec<PlanBuild>,
    /// The dependency cycles, and where they are broken.
    pub cycles: Vec<PlanCycle>,
    /// Dependencies that no known package satisfies. They may be in another repository.
    pub unresolved: Vec<PlanUnresolved>,
    /// Problems that do not fail the plan, but that a maintainer should check.
    pub problems: Vec<PlanProblem>,
    /// Cycles that cannot be built without a bootstrap build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_bootstrap: Vec<PlanNeedsBootstrap>,
    /// The sources it was planned from; absent for a folder of `.SRCINFO` files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<PlanSources>,
    /// Set if it has more builds than a namespace would be created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceeds: Option<PlanExceeds>,
}

/// A build of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanBuild {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a member of a cycle.
    pub stage: u32,
    /// The length of the longest path to it; 0 for a build without needs.
    pub level: u32,
    /// The newest version in the base repositories, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_version: Option<PackageVersion>,
    /// The version that its packages get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<PackageVersion>,
    /// A remark on the version, human-readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_note: Option<String>,
    /// The builds it waits for: `pkgbase@stage`.
    pub needs: Vec<String>,
    /// The kind of each of the needs: `depends`, `makedepends`, `checkdepends`, `links` or `stage`.
    pub needs_kinds: Vec<String>,
    /// Why it is built: the shortest chain of packages from an origin to it.
    pub reason: Vec<Pkgbase>,
    /// The kind of each step of the reason, one less than packages.
    pub reason_kinds: Vec<String>,
    /// `links libfoo.so.1` if it declares no dependency on the package before it in the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Whether it is a bootstrap build.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bootstrap: bool,
    /// The dependencies that a bootstrap build is built without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The expected duration in seconds.
    pub estimate_s: u64,
    /// Whether the package was built before; otherwise the expected duration is the median of the other packages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimate_is_known: bool,
    /// The packages that a new namespace would reuse instead of building it; absent if none, or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<PlanReuse>,
    /// The failure of the newest attempt at this package; absent if it succeeded, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<PlanFailure>,
}

/// Packages that a build would reuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanReuse {
    /// The attempt that built them.
    pub attempt: AttemptId,
    /// The namespace it was made for.
    pub namespace: NamespaceName,
    /// Their version.
    pub version: PackageVersion,
}

/// The failure of the newest attempt at a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanFailure {
    /// The attempt.
    pub attempt: AttemptId,
    /// The namespace it was made for.
    pub namespace: NamespaceName,
    /// The first line of the cause.
    pub message: String,
    /// When it ended.
    pub at: Timestamp,
}

/// A dependency cycle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanCycle {
    /// The members, by name.
    pub members: Vec<Pkgbase>,
    /// The dependencies that first stages do not see. Empty if no second stage is needed.
    pub broken: Vec<PlanBrokenEdge>,
}

/// A dependency that a first stage does not see in its new version.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanBrokenEdge {
    /// The dependency.
    pub from: Pkgbase,
    /// The dependent, which is built first with the old version and then again.
    pub to: Pkgbase,
    /// The kind of dependency: `depends`, `makedepends`, `checkdepends`, or `package` for one of a package that its
    /// build does not install.
    pub kind: String,
}

/// A dependency that no known package satisfies.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanUnresolved {
    /// The package that has the dependency.
    pub pkgbase: Pkgbase,
    /// The name of the dependency, without version constraint.
    pub name: String,
    /// The kind of dependency.
    pub kind: String,
}

/// A problem that does not fail a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanProblem {
    /// The affected package.
    pub pkgbase: Pkgbase,
    /// The kind of problem, for example `same_as_base` or `keeps_old_soname`; new ones are added.
    pub kind: String,
    /// The description, human-readable.
    pub message: String,
}

/// A cycle in which an environment cannot be installed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanNeedsBootstrap {
    /// The packages of the cycle, by name.
    pub members: Vec<Pkgbase>,
    /// The packages that make the cycle buildable if one of them is bootstrapped.
    pub choices: Vec<Pkgbase>,
    /// How many other packages could be bootstrapped but were not tried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untried: u64,
    /// What cannot be installed, and why.
    pub reasons: Vec<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The sources of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanSources {
    /// When the server last read them; absent if it has not since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// What is missing or stale, human-readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A number of builds above that of a namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanExceeds {
    /// The number of builds for this architecture.
    pub builds: u64,
    /// The maximum of the namespace, for all architectures together.
    pub max_builds: u32,
}
