//! Planning: what is rebuilt for some changed packages, in which order and why.
//!
//! # Steps
//!
//! 1. `members` finds the rebuild set by a search along reversed dependencies.
//! 2. `graph` builds the sparse dependency graph; `reasons` finds the chain to each member.
//! 3. `assemble` orders the strongly connected components, dependencies first. A component with one build is added
//!    with its needs; one with several builds is ordered by `cycles`.
//! 4. `finish` computes levels, expected durations, priorities and the final order.
//! 5. `excluded` finds packages that are not rebuilt and keep a library whose soname changes.
//! 6. `bootstrap` checks, if base is known, whether the dependencies of builds in cycles can be installed
//!    (`install_check`).
//!
//! # What a build sees
//!
//! Of the rebuild set, a build sees exactly the packages of its ancestors: the builds that it reaches through
//! [`PlannedBuild::needs`], and of each package the newest stage among them. It sees the old packages of all other
//! members. So the needs determine every environment, and a plan is correct if the ancestors of a build include all
//! members in its environment: the packages that makepkg installs before the build and everything that these pull in at
//! run time, also through packages that are not rebuilt. The tests compare this with an independent, slow
//! implementation.
//!
//! # Cycles
//!
//! In a cycle, some build comes before a member of its environment and sees the old version of it. The edge is listed
//! as broken, and the package is built a second time after all members of its environment. All builds outside the
//! cycle, and all later builds inside it, see the second stage. So no last stage is built with an old member in its
//! environment. A package that needs itself to be built is not a cycle: it is built with its old version. The run-time
//! dependencies of a split package, which its build does not install, are soft: in a cycle they are relaxed and need no
//! second stage.

mod assemble;
mod assembly;
mod bootstrap;
mod build_facts;
mod components;
mod constraints;
mod context;
mod cycles;
mod drafts;
mod duplicates;
mod estimate;
mod excluded;
mod facts;
mod finish;
mod footprint;
mod graph;
mod install_check;
mod installable;
mod json;
mod kinds;
mod members;
mod omitted;
mod outcome;
mod planned_version;
mod problem;
mod reasons;
mod request;
mod spread;
mod versions;

use std::sync::Arc;

pub use build_facts::BuildFacts;
pub use constraints::{VersionedPackage, unmet_constraints};
pub use duplicates::{AssignedVersions, same_packages};
pub use estimate::{Estimate, Estimates, NoEstimates, quantile};
pub use footprint::Footprint;
pub use outcome::{
    Bootstrapped, BrokenEdge, Cycle, Need, NeedsBootstrap, Plan, PlannedBuild, Unresolved,
};
pub use planned_version::{PlannedVersion, computes_version};
pub use problem::{Problem, ProblemKind};
pub use request::{InvalidPatterns, Patterns, PlanRequest};

use crate::budget::{Budget, Unlimited};
use crate::index::PackageIndex;
use crate::srcinfo::SourcePackage;
use crate::world::World;
use context::PlanContext;
use graph::Graph;
use members::Members;

/// Plans the rebuild of some changed packages. Every graph has a plan, and the same input gives the same plan.
#[must_use]
pub fn plan(index: &PackageIndex, request: &PlanRequest<'_>) -> Plan {
    let Ok((plan, ())) = plan_and_inspect(index, request, &Unlimited, |_, _, _| ());
    plan
}

/// Plans like [`plan`], within a budget.
///
/// # Errors
/// Fails when the budget is exceeded.
pub fn plan_within<B: Budget>(
    index: &PackageIndex,
    request: &PlanRequest<'_>,
    budget: &B,
) -> Result<Plan, B::Over> {
    Ok(plan_and_inspect(index, request, budget, |_, _, _| ())?.0)
}

/// Plans like [`plan`], and returns a footprint that decides whether a change of the index can affect the plan.
#[must_use]
pub fn plan_with_footprint(index: &PackageIndex, request: &PlanRequest<'_>) -> (Plan, Footprint) {
    let Ok(both) = plan_with_footprint_within(index, request, &Unlimited);
    both
}

/// Plans like [`plan_with_footprint`], within a budget.
///
/// # Errors
/// Fails when the budget is exceeded.
pub fn plan_with_footprint_within<B: Budget>(
    index: &PackageIndex,
    request: &PlanRequest<'_>,
    budget: &B,
) -> Result<(Plan, Footprint), B::Over> {
    plan_and_inspect(index, request, budget, |world, members, graph| {
        finish::footprint(world, request, members, graph)
    })
}

fn plan_and_inspect<T, B: Budget>(
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
    let bootstrap = bootstrap::requested(&world, &members, request);
    let mut assembly = assemble::assemble(&graph, bootstrap, budget)?;
    let seen = inspect(&world, &members, &graph);
    let context = PlanContext {
        world: &world,
        request,
        origins: &origins,
        members: &members,
        findings: &findings,
    };
    let mut plan = finish::finish(&context, reasons, &assembly);
    plan.problems.extend(excluded::problems(&context, budget)?);
    bootstrap::check(&context, &mut assembly, &mut plan)?;
    Ok((plan, seen))
}
