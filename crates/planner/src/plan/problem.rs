//! What a maintainer should check about a plan.

use buildbtw_model::Pkgbase;

/// Something that does not fail a plan, but that a maintainer should check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// The package in question.
    pub pkgbase: Pkgbase,
    /// What sort of problem it is.
    pub kind: ProblemKind,
    /// The problem in words.
    pub message: String,
}

/// The sorts of [`Problem`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Only the default-branch version of an origin satisfies a dependency, its new one does not.
    ConstraintNoLongerMet,
    /// An origin has no package for the architecture.
    NotForArchitecture,
    /// A line of its `.SRCINFO` was left out.
    BadLine,
    /// Its `.SRCINFO` cannot be used, so it was left out as a whole.
    LeftOut,
    /// The base repositories have a newer version.
    OlderThanBase,
    /// One of its sources is not fetched. The planner does not know what is: others add this.
    SourceNotFetched,
    /// Another source package makes a package of the same name.
    SamePackage,
    /// The environment of one of its builds, which is in a cycle, cannot be installed.
    NotInstallable,
    /// The environment of one of its builds, which is in a cycle, may turn out not to be installable.
    MayNotBeInstallable,
    /// It was to be bootstrapped, and is in no cycle.
    BootstrapNotNeeded,
}
