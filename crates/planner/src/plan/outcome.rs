//! What a plan says.

use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};

use super::cycles::is_left_out;
use super::members::OUTSIDE;
use super::planned_version::PlannedVersion;
use super::problem::Problem;
use super::reasons::ReasonStep;
use crate::index::DependencyKind;

/// What is rebuilt, in a valid order.
///
/// Serialises to the JSON contract that other tools read; see `notes/decisions/0003-planning.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it is built for.
    pub architecture: Architecture,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// The builds; each comes after those it needs.
    pub builds: Vec<PlannedBuild>,
    /// The cycles there are, and where they were broken.
    pub cycles: Vec<Cycle>,
    /// Dependencies of the builds that no known package satisfies. They come from a repository
    /// outside, or nowhere.
    pub unresolved: Vec<Unresolved>,
    /// What a maintainer should check.
    pub problems: Vec<Problem>,
    /// See [`Plan::versions`].
    pub(super) versions: Vec<PlannedVersion>,
    /// Cycles of which what a build needs cannot be installed, unless one of them is bootstrapped.
    pub needs_bootstrap: Vec<NeedsBootstrap>,
    /// Orders that were relaxed in a cycle because no environment depends on them.
    pub(super) relaxed: Vec<(Pkgbase, Pkgbase)>,
    /// How many packages are rebuilt.
    pub(super) members: usize,
    /// Their names, in order, and then those of the origins.
    pub(super) names: Vec<Pkgbase>,
    /// The steps of all reasons; see [`Plan::reason`].
    pub(super) steps: Vec<ReasonStep>,
    /// Libraries that reasons name.
    pub(super) libraries: Vec<Arc<str>>,
}

/// One build of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBuild {
    /// What is built.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a package in a cycle.
    pub stage: u32,
    /// The length of the longest path to it; 0 for a build that waits for nothing.
    pub level: u32,
    /// The builds it waits for.
    pub needs: Vec<Need>,
    /// How long it is expected to take, in seconds.
    pub estimate_s: u64,
    /// How long it and the longest chain of builds that wait for it are expected to take, in
    /// seconds. The larger, the earlier it should start.
    pub priority_s: u64,
    /// Whether no later stage of the same package follows.
    pub is_last_stage: bool,
    /// What it is built without because it is bootstrapped; `None` for all other builds.
    pub bootstrap: Option<Bootstrapped>,
    /// The last step of its reason.
    pub(super) reason: u32,
}

/// A build without what its package needs of its own cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrapped {
    /// The `makedepends` and `checkdepends` that are left out, as the `.SRCINFO` writes them.
    pub without: Vec<Arc<str>>,
}

/// A cycle in which the environment of a build cannot be installed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NeedsBootstrap {
    /// The packages of the cycle, by name.
    pub members: Vec<Pkgbase>,
    /// Each of these lets everything be installed when it is bootstrapped. Empty when no single one of those
    /// that were tried does.
    pub choices: Vec<Pkgbase>,
    /// How many others could be bootstrapped, and were not tried: each try takes time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untried: usize,
    /// What cannot be installed, and why.
    pub reasons: Vec<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A build that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Its place in [`Plan::builds`].
    pub build: usize,
    /// Why: the hardest of the dependencies that lead to it. Nothing for the earlier stage of the
    /// same package.
    pub kind: Option<DependencyKind>,
}

/// Packages that need each other to be built.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cycle {
    /// All of them, by name.
    pub members: Vec<Pkgbase>,
    /// What first stages were built without. Empty if no second stage was necessary.
    pub broken: Vec<BrokenEdge>,
}

/// A dependency that a first stage was built without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BrokenEdge {
    /// The dependency.
    pub from: Pkgbase,
    /// What was built with its old version, and is built again.
    pub to: Pkgbase,
    /// Which dependency of `to` leads to `from`.
    pub kind: DependencyKind,
}

/// A dependency that no known package satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Unresolved {
    /// Who has it.
    pub pkgbase: Pkgbase,
    /// The name that is wanted, without the constraint on its version.
    pub name: Arc<str>,
    /// Which dependency it is.
    pub kind: DependencyKind,
}

impl Plan {
    /// Why a package is rebuilt: the shortest chain of dependencies from an origin to it.
    #[must_use]
    pub fn reason(&self, build: &PlannedBuild) -> Vec<&Pkgbase> {
        let mut chain = Vec::new();
        let mut at = build.reason;
        while let Some(step) = self.steps.get(at as usize) {
            chain.extend(self.names.get(step.member as usize));
            if step.before == OUTSIDE {
                break;
            }
            at = step.before;
        }
        chain.reverse();
        chain
    }

    /// The reason for a package by its name; nothing if it is not rebuilt.
    #[must_use]
    pub fn why(&self, pkgbase: &Pkgbase) -> Option<Vec<&Pkgbase>> {
        let build = self.builds.iter().find(|build| build.pkgbase == *pkgbase)?;
        Some(self.reason(build))
    }

    /// The library by which a package is linked to the one before it in its reason, where no dependency
    /// says so: `libfoo.so.1`.
    #[must_use]
    pub fn links(&self, build: &PlannedBuild) -> Option<&str> {
        let step = self.steps.get(build.reason as usize)?;
        self.libraries.get(step.library as usize).map(AsRef::as_ref)
    }

    /// Returns whether a broken edge is one that a bootstrap build does without.
    #[must_use]
    pub fn is_left_out(&self, edge: &BrokenEdge) -> bool {
        let mut builds = self.builds.iter();
        let is_bootstrap =
            builds.any(|build| build.pkgbase == edge.to && build.bootstrap.is_some());
        is_bootstrap && is_left_out(edge.kind)
    }

    /// The rebuild set, by name.
    #[must_use]
    pub fn pkgbases(&self) -> &[Pkgbase] {
        &self.names[..self.members]
    }

    /// Pairs of dependency and dependent whose order was relaxed in a cycle. The dependent's build does
    /// not install the dependency: only one of its packages needs it at run time.
    #[must_use]
    pub fn relaxed(&self) -> &[(Pkgbase, Pkgbase)] {
        &self.relaxed
    }

    /// How many levels of builds there are.
    #[must_use]
    pub fn levels(&self) -> usize {
        let deepest = self.builds.iter().map(|build| build.level as usize + 1);
        deepest.max().unwrap_or(0)
    }

    /// The expected duration of all builds together, in seconds.
    #[must_use]
    pub fn total_s(&self) -> u64 {
        self.builds.iter().map(|build| build.estimate_s).sum()
    }

    /// The expected duration with any number of workers, in seconds.
    #[must_use]
    pub fn critical_path_s(&self) -> u64 {
        let starts = self.builds.iter().map(|build| build.priority_s);
        starts.max().unwrap_or(0)
    }
}
