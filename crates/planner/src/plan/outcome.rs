//! The result of planning.

use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};

use super::build_facts::BuildFacts;
use super::cycles::is_omitted;
use super::estimate::Estimate;
use super::members::OUTSIDE;
use super::planned_version::PlannedVersion;
use super::problem::Problem;
use super::reasons::ReasonStep;
use crate::index::DependencyKind;

/// A plan: the builds of a rebuild in a valid order.
///
/// Serialises to a stable JSON format; see `notes/decisions/0003-planning.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The architecture it is built for.
    pub architecture: Architecture,
    /// How far the rebuild spreads.
    pub scope: Scope,
    /// The builds; each comes after those that it needs.
    pub builds: Vec<PlannedBuild>,
    /// The dependency cycles, and where they are broken.
    pub cycles: Vec<Cycle>,
    /// Dependencies of the builds that no known package satisfies. They may be in another repository.
    pub unresolved: Vec<Unresolved>,
    /// Problems that a maintainer should check.
    pub problems: Vec<Problem>,
    /// See [`Plan::versions`].
    pub(super) versions: Vec<PlannedVersion>,
    /// See [`Plan::facts`].
    pub(super) facts: Vec<BuildFacts>,
    /// Cycles with an environment that cannot be installed unless a member is bootstrapped.
    pub needs_bootstrap: Vec<NeedsBootstrap>,
    /// Orderings that are relaxed in a cycle because no environment depends on them.
    pub(super) relaxed: Vec<(Pkgbase, Pkgbase)>,
    /// The number of packages that are rebuilt.
    pub(super) members: usize,
    /// The names of these packages in order, then those of origins and of packages of base in reasons.
    pub(super) names: Vec<Pkgbase>,
    /// The steps of all reasons; see [`Plan::reason`].
    pub(super) steps: Vec<ReasonStep>,
    /// The libraries that reasons mention.
    pub(super) libraries: Vec<Arc<str>>,
}

/// A build of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBuild {
    /// The source package.
    pub pkgbase: Pkgbase,
    /// 1, or 2 for the second build of a package in a cycle.
    pub stage: u32,
    /// The length of the longest path to it; 0 for a build without needs.
    pub level: u32,
    /// The builds it waits for.
    pub needs: Vec<Need>,
    /// Its expected duration in seconds: the median of earlier builds or, without them, of the plan's other packages.
    pub estimate_s: u64,
    /// How long earlier builds of the package took; `None` if there are none.
    pub estimate: Option<Estimate>,
    /// The remaining critical path in seconds: the expected duration of it and of the longest chain of builds that wait
    /// for it. Builds with a higher priority should start earlier.
    pub priority_s: u64,
    /// Whether no later stage of the same package follows.
    pub is_last_stage: bool,
    /// What it omits as a bootstrap build; `None` for all other builds.
    pub bootstrap: Option<Bootstrapped>,
    /// The last step of its reason.
    pub(super) reason: u32,
}

/// The omissions of a bootstrap build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrapped {
    /// The omitted `makedepends` and `checkdepends`, as written in the `.SRCINFO`.
    pub without: Vec<Arc<str>>,
}

/// A cycle in which an environment cannot be installed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NeedsBootstrap {
    /// The packages of the cycle, by name.
    pub members: Vec<Pkgbase>,
    /// The packages that make the cycle buildable if one of them is bootstrapped. Empty if no single one of the tried
    /// ones does.
    pub choices: Vec<Pkgbase>,
    /// How many other packages could be bootstrapped but were not tried, because each try takes time.
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
    /// Its position in [`Plan::builds`].
    pub build: usize,
    /// The hardest kind of the dependencies that lead to it; `None` for the earlier stage of the same package.
    pub kind: Option<DependencyKind>,
}

/// A dependency cycle: packages that need each other to be built.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cycle {
    /// The members, by name.
    pub members: Vec<Pkgbase>,
    /// The dependencies that first stages do not see. Empty if no second stage is needed.
    pub broken: Vec<BrokenEdge>,
}

/// A dependency that a first stage does not see in its new version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct BrokenEdge {
    /// The dependency.
    pub from: Pkgbase,
    /// The dependent, which is built with the old version first and then again.
    pub to: Pkgbase,
    /// The kind of dependency of `to` that leads to `from`.
    pub kind: DependencyKind,
}

/// A dependency that no known package satisfies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Unresolved {
    /// The package that has the dependency.
    pub pkgbase: Pkgbase,
    /// The name of the dependency, without version constraint.
    pub name: Arc<str>,
    /// The kind of dependency.
    pub kind: DependencyKind,
}

impl Plan {
    /// Returns why a package is rebuilt: the shortest chain of dependencies from an origin to it.
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

    /// Returns the reason for a package by name; `None` if it is not rebuilt.
    #[must_use]
    pub fn why(&self, pkgbase: &Pkgbase) -> Option<Vec<&Pkgbase>> {
        let build = self.builds.iter().find(|build| build.pkgbase == *pkgbase)?;
        Some(self.reason(build))
    }

    /// Returns the library by which a package depends on the one before it in its reason, if it does not declare the
    /// dependency: `libfoo.so.1`.
    #[must_use]
    pub fn links(&self, build: &PlannedBuild) -> Option<&str> {
        let step = self.steps.get(build.reason as usize)?;
        self.libraries.get(step.library as usize).map(AsRef::as_ref)
    }

    /// Returns whether a broken edge is one that a bootstrap build omits.
    #[must_use]
    pub fn is_omitted(&self, edge: &BrokenEdge) -> bool {
        let mut builds = self.builds.iter();
        let is_bootstrap =
            builds.any(|build| build.pkgbase == edge.to && build.bootstrap.is_some());
        is_bootstrap && is_omitted(edge.kind)
    }

    /// Returns the rebuild set, by name.
    #[must_use]
    pub fn pkgbases(&self) -> &[Pkgbase] {
        &self.names[..self.members]
    }

    /// Returns the pairs of dependency and dependent whose order is relaxed in a cycle. The dependent's build does not
    /// install the dependency: only one of its packages needs it at run time.
    #[must_use]
    pub fn relaxed(&self) -> &[(Pkgbase, Pkgbase)] {
        &self.relaxed
    }

    /// Returns the number of levels.
    #[must_use]
    pub fn levels(&self) -> usize {
        let deepest = self.builds.iter().map(|build| build.level as usize + 1);
        deepest.max().unwrap_or(0)
    }

    /// Returns how many builds are of packages without an earlier build.
    #[must_use]
    pub fn unknown_durations(&self) -> usize {
        let builds = self.builds.iter();
        builds.filter(|build| build.estimate.is_none()).count()
    }

    /// Returns the expected duration of all builds with earlier ones together, in seconds: at least and at most.
    #[must_use]
    pub fn known_work_s(&self) -> (u64, u64) {
        let known = self.builds.iter().filter_map(|build| build.estimate);
        known.fold((0, 0), |(low, high), estimate| {
            (low + estimate.low_s, high + estimate.high_s)
        })
    }

    /// Returns the expected duration of all builds together, in seconds.
    #[must_use]
    pub fn total_s(&self) -> u64 {
        self.builds.iter().map(|build| build.estimate_s).sum()
    }

    /// Returns the expected duration with unlimited workers, in seconds.
    #[must_use]
    pub fn critical_path_s(&self) -> u64 {
        let starts = self.builds.iter().map(|build| build.priority_s);
        starts.max().unwrap_or(0)
    }
}
