//! Bootstrap builds: members of a cycle that are built first without what they need of their cycle, and
//! once more when all of it is there.
//!
//! They are asked for, not chosen: the `PKGBUILD` must know how to do without. What is found here is
//! whether a cycle can be built at all without one, and which one would do.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::assemble::{Assembly, assemble};
use super::budget::Budget;
use super::clashes::{self, Clash};
use super::cycles::is_left_out;
use super::finish::Parts;
use super::members::Members;
use super::request::PlanRequest;
use super::{NeedsBootstrap, Plan, Problem, ProblemKind};
use crate::base::BaseIndex;
use crate::world::World;

/// How many members of a cycle are tried.
const MOST_TRIED: usize = 12;

/// The members that are to be bootstrapped.
pub(super) fn wanted(world: &World<'_>, members: &Members, request: &PlanRequest<'_>) -> Vec<bool> {
    let is_wanted = |&base: &u32| {
        let record = world.base(base);
        record.is_some_and(|record| request.bootstrap.contains(record.source.pkgbase()))
    };
    members.bases.iter().map(is_wanted).collect()
}

/// Says in the plan what bootstrap builds are built without, and which cycles cannot be built.
///
/// # Errors
/// When the budget is used up.
pub(super) fn judge<B: Budget>(
    parts: &Parts<'_, '_>,
    assembly: &Assembly<'_, B>,
    plan: &mut Plan,
) -> Result<(), B::Over> {
    describe(parts, assembly, plan);
    if let Some(base) = parts.request.base {
        let found = clashes::find(parts, base, assembly, None)?;
        for clash in &found {
            let problem = problem(plan, clash);
            plan.problems.push(problem);
        }
        report(parts, base, assembly, &found, plan)?;
    }
    plan.problems.sort();
    Ok(())
}

/// Fills in what bootstrap builds are built without.
fn describe<B>(parts: &Parts<'_, '_>, assembly: &Assembly<'_, B>, plan: &mut Plan) {
    for pkgbase in &parts.request.bootstrap {
        let mut builds = plan.builds.iter_mut();
        let build = builds.find(|build| build.pkgbase == *pkgbase && build.bootstrap.is_some());
        let Some(bootstrap) = build.and_then(|build| build.bootstrap.as_mut()) else {
            plan.problems.push(Problem {
                pkgbase: pkgbase.clone(),
                kind: ProblemKind::BootstrapNotNeeded,
                message: "it is in no cycle of this plan, so that there is nothing to bootstrap"
                    .to_owned(),
            });
            continue;
        };
        let member = plan.names.iter().position(|name| name == pkgbase);
        if let Some(member) = member {
            let relations = left_out(parts, assembly, crate::index::number(member));
            let mut texts: Vec<Arc<str>> = relations
                .into_iter()
                .map(|relation| parts.world.relation_text(relation).into())
                .collect();
            texts.sort_unstable();
            texts.dedup();
            bootstrap.without = texts;
        }
    }
}

/// The relations of a member that lead into its cycle and that a bootstrap build does without.
pub(super) fn left_out<B>(
    parts: &Parts<'_, '_>,
    assembly: &Assembly<'_, B>,
    member: u32,
) -> Vec<u32> {
    let world = parts.world;
    let base = parts.members.bases.get(member as usize);
    let Some(record) = base.and_then(|&base| world.base(base)) else {
        return Vec::new();
    };
    let Some(installs) = assembly.left_out.get(&member) else {
        return Vec::new();
    };
    let packages: FxHashSet<u32> = installs
        .iter()
        .map(|&install| assembly.graph.packages[install as usize])
        .collect();
    let leads_in = |relation: u32| {
        let mut providers = world.installed(relation).iter();
        providers.any(|package| packages.contains(package))
    };
    world
        .applicable(&record.build)
        .filter(|used| is_left_out(used.kind) && leads_in(used.relation))
        .map(|used| used.relation)
        .collect()
}

fn problem(plan: &Plan, clash: &Clash) -> Problem {
    let (kind, verb) = if clash.is_certain {
        (ProblemKind::NotInstallable, "cannot")
    } else {
        (ProblemKind::MayNotBeInstallable, "may not")
    };
    Problem {
        pkgbase: plan.names[clash.member as usize].clone(),
        kind,
        message: format!(
            "what its first build needs {verb} be installed: {}",
            clash.text
        ),
    }
}

/// Finds, for each cycle that cannot be built, which of its members would have to be bootstrapped.
fn report<B: Budget>(
    parts: &Parts<'_, '_>,
    base: &BaseIndex,
    assembly: &Assembly<'_, B>,
    clashes: &[Clash],
    plan: &mut Plan,
) -> Result<(), B::Over> {
    let certain: Vec<&Clash> = clashes.iter().filter(|clash| clash.is_certain).collect();
    let mut components: Vec<u32> = certain
        .iter()
        .map(|clash| assembly.component_of_build(clash.member))
        .collect();
    components.sort_unstable();
    components.dedup();
    for component in components {
        let inside = |member: u32| assembly.component_of_build(member) == component;
        let clashing = certain.iter().filter(|clash| inside(clash.member));
        let mut reasons = Vec::new();
        let mut candidates: Vec<u32> = Vec::new();
        for clash in clashing {
            let name = &plan.names[clash.member as usize];
            reasons.push(format!("{name}: {}", clash.text));
            candidates.push(clash.member);
        }
        let builds = crate::index::number(assembly.bootstrap.len());
        let members: Vec<u32> = (0..builds).filter(|&member| inside(member)).collect();
        candidates.extend(&members);
        let mut choices = Vec::new();
        for member in first_of_each(candidates).take(MOST_TRIED) {
            let mut bootstrap = assembly.bootstrap.to_vec();
            if std::mem::replace(&mut bootstrap[member as usize], true) {
                continue;
            }
            let other = assemble(assembly.graph, &bootstrap, assembly.budget)?;
            let left = clashes::find(parts, base, &other, Some(component))?;
            if !left.iter().any(|clash| clash.is_certain) {
                choices.push(plan.names[member as usize].clone());
            }
        }
        choices.sort_unstable();
        plan.needs_bootstrap.push(NeedsBootstrap {
            members: members
                .iter()
                .map(|&member| plan.names[member as usize].clone())
                .collect(),
            choices,
            reasons,
        });
    }
    plan.needs_bootstrap
        .sort_by(|a, b| a.members.cmp(&b.members));
    Ok(())
}

/// Each number once, in the order of their first occurrences.
fn first_of_each(numbers: Vec<u32>) -> impl Iterator<Item = u32> {
    let mut seen = FxHashSet::default();
    numbers
        .into_iter()
        .filter(move |&number| seen.insert(number))
}
