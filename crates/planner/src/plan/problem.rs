//! Plan problems.

use buildbtw_model::Pkgbase;

/// A problem that does not fail a plan, but that a maintainer should check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// The affected package.
    pub pkgbase: Pkgbase,
    /// The kind of problem.
    pub kind: ProblemKind,
    /// The description for humans.
    pub message: String,
}

/// The kinds of [`Problem`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The old version of a package satisfies a dependency, but the new one does not.
    ConstraintNoLongerMet,
    /// An origin has no package for the architecture.
    NotForArchitecture,
    /// A line of its `.SRCINFO` is ignored.
    BadLine,
    /// Its `.SRCINFO` cannot be used, so the package is left out.
    LeftOut,
    /// The base repositories have a newer version.
    OlderThanBase,
    /// It is an origin, and the base repositories already have its version.
    SameAsBase,
    /// It is not rebuilt, although it needs a library whose soname the plan changes.
    KeepsOldSoname,
    /// One of its sources is not fetched. Callers of the planner add this problem, as they know the network policy.
    SourceNotFetched,
    /// Another source package produces a package with the same name.
    SamePackage,
    /// The environment of one of its builds, which is in a cycle, cannot be installed.
    NotInstallable,
    /// The environment of one of its builds, which is in a cycle, might not be installable.
    MayNotBeInstallable,
    /// A bootstrap build was requested, but the package is not in a cycle.
    BootstrapNotNeeded,
}
