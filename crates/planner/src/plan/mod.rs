//! Plans: what is rebuilt for some changed packages, in which order and why.
//!
//! # How a plan is made
//!
//! 1. `members`: the rebuild set, by a search along dependencies, backwards.
//! 2. `graph`: who needs whom, sparse; `reasons`: the chain to each member.
//! 3. `assemble`: the strongly connected components, those below first. A component with one build
//!    is put down with its needs; one with several goes through `cycles`.
//! 4. `finish`: levels, expected durations, priorities, and the final order.
//! 5. `bootstrap`: where base is known, whether what the builds of cycles need can be installed (`clashes`).
//!
//! # What a build sees
//!
//! Of the rebuild set, a build sees exactly the packages of its ancestors: the builds it reaches
//! through [`PlannedBuild::needs`], of each package the newest stage among them. Any other member it
//! sees as it is without the rebuild. So the needs alone fix every environment, and for the plan to
//! be right, the ancestors of a build must hold everything its environment holds: the packages that
//! makepkg installs before the build and whatever those pull in at run time, also through packages
//! that are not rebuilt. The tests hold this against an independent, slow implementation.
//!
//! # Cycles
//!
//! In a cycle some build comes before something in its environment and sees the old version of it.
//! The constraint is listed as broken, and the package is built a second time once all of its
//! environment was built. Everything outside of the cycle, and every later build inside, sees the
//! second stage. So nothing final was built with an old member of the set in its environment. A
//! package that needs itself to be built is not a cycle: it is built with its old version, as by hand.
//! A split package's own run-time dependencies, which its build does not install, only order
//! softly: in a cycle they are relaxed silently and need no second stage.

mod assemble;
mod bootstrap;
mod budget;
mod clashes;
mod components;
mod constraints;
mod cycles;
mod finish;
mod graph;
mod json;
mod members;
mod reasons;
mod request;
mod rivals;
mod spread;
mod versions;

use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase, Scope};

pub use budget::{Budget, TookTooLong, Unlimited, Until};
pub use constraints::{BuiltPackage, unmet_constraints};
pub use request::{Estimates, InvalidPatterns, NoEstimates, Patterns, PlanRequest};
pub use rivals::{GivenVersions, same_packages};
pub use versions::{PlannedVersion, computes_version};

use crate::index::{DependencyKind, Footprint, PackageIndex};
use crate::srcinfo::SourcePackage;
use crate::world::World;
use graph::Graph;
use members::{Members, OUTSIDE};
use reasons::ReasonStep;

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
    versions: Vec<PlannedVersion>,
    /// Cycles of which what a build needs cannot be installed, unless one of them is bootstrapped.
    pub needs_bootstrap: Vec<NeedsBootstrap>,
    /// Orders that were relaxed in a cycle because no environment depends on them.
    relaxed: Vec<(Pkgbase, Pkgbase)>,
    /// How many packages are rebuilt.
    members: usize,
    /// Their names, in order, and then those of the origins.
    names: Vec<Pkgbase>,
    steps: Vec<ReasonStep>,
    /// Libraries that reasons name.
    libraries: Vec<Arc<str>>,
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
    reason: u32,
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

/// Plans the rebuild of some changed packages. Any graph has a plan, and the same input has the
/// same plan.
#[must_use]
pub fn plan(index: &PackageIndex, request: &PlanRequest<'_>) -> Plan {
    let Ok((plan, ())) = make(index, request, &Unlimited, |_, _, _| ());
    plan
}

/// [`plan`], for as long as a budget lasts.
///
/// # Errors
/// When it is used up.
pub fn plan_within<B: Budget>(
    index: &PackageIndex,
    request: &PlanRequest<'_>,
    budget: &B,
) -> Result<Plan, B::Over> {
    Ok(make(index, request, budget, |_, _, _| ())?.0)
}

/// [`plan`], with what tells later whether a change of the index can affect it.
#[must_use]
pub fn plan_with_footprint(index: &PackageIndex, request: &PlanRequest<'_>) -> (Plan, Footprint) {
    let Ok(both) = plan_with_footprint_within(index, request, &Unlimited);
    both
}

/// [`plan_with_footprint`], for as long as a budget lasts.
///
/// # Errors
/// When it is used up.
pub fn plan_with_footprint_within<B: Budget>(
    index: &PackageIndex,
    request: &PlanRequest<'_>,
    budget: &B,
) -> Result<(Plan, Footprint), B::Over> {
    make(index, request, budget, |world, members, graph| {
        finish::footprint(world, request, members, graph)
    })
}

fn make<T, B: Budget>(
    index: &PackageIndex,
    request: &PlanRequest<'_>,
    budget: &B,
    inspect: impl FnOnce(&World<'_>, &Members, &Graph) -> T,
) -> Result<(Plan, T), B::Over> {
    let mut origins: Vec<Arc<SourcePackage>> = Vec::with_capacity(request.origins.len());
    for origin in &request.origins {
        let is_new = |other: &Arc<SourcePackage>| other.pkgbase() != origin.pkgbase();
        if origins.iter().all(is_new) {
            origins.push(Arc::clone(origin));
        }
    }
    let mut world = World::new(index, &request.architecture, &origins, request.base, budget)?;
    let members = members::find(&mut world, request, &origins, budget)?;
    budget.check_members(members.bases.len())?;
    let (graph, findings) = graph::build(&mut world, &members, request.sonames, budget)?;
    let reasons = reasons::trace(&world, &members, request.sonames);
    let wanted = bootstrap::wanted(&world, &members, request);
    let mut assembly = assemble::assemble(&graph, wanted, budget)?;
    let seen = inspect(&world, &members, &graph);
    let parts = finish::Parts {
        world: &world,
        request,
        origins: &origins,
        members: &members,
        findings: &findings,
    };
    let mut plan = finish::finish(&parts, reasons, &assembly);
    bootstrap::judge(&parts, &mut assembly, &mut plan)?;
    Ok((plan, seen))
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

    /// Whether a broken edge is one that a bootstrap build does without.
    #[must_use]
    pub fn is_left_out(&self, edge: &BrokenEdge) -> bool {
        let mut builds = self.builds.iter();
        let is_bootstrap =
            builds.any(|build| build.pkgbase == edge.to && build.bootstrap.is_some());
        is_bootstrap && cycles::is_left_out(edge.kind)
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
