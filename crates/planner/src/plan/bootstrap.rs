//! Bootstrap builds: members of a cycle that are built first without what they need of their cycle, and
//! once more when all of it is there.
//!
//! They are asked for, not chosen: the `PKGBUILD` must know how to do without. What is found here is
//! whether a cycle can be built at all without one, and which one would do.

use std::collections::BTreeMap;
use std::sync::Arc;

use buildbtw_model::Pkgbase;
use rustc_hash::{FxHashMap, FxHashSet};

use super::assembly::Assembly;
use super::budget::Budget;
use super::clashes::{Clash, Environments};
use super::cycles::is_left_out;
use super::left_out::left_out;
use super::members::Members;
use super::outcome::{NeedsBootstrap, Plan};
use super::parts::Parts;
use super::problem::{Problem, ProblemKind};
use super::request::PlanRequest;
use crate::world::World;

/// How many members of a cycle are tried.
const MOST_TRIED: usize = 12;
/// How many there are in the largest cycle of which that many are tried; of larger ones it is fewer.
const MEMBERS_OF_MOST_TRIED: usize = 1_000;
/// How many reasons a cycle has, and how many problems of one sort a plan. The rest is counted.
const MOST_REASONS: usize = 20;
const MOST_PROBLEMS: usize = 100;

/// The members that are to be bootstrapped.
pub(super) fn wanted(world: &World<'_>, members: &Members, request: &PlanRequest<'_>) -> Vec<bool> {
    let bootstrap: FxHashSet<&Pkgbase> = request.bootstrap.iter().collect();
    let is_wanted = |&base: &u32| {
        let record = world.base(base);
        record.is_some_and(|record| bootstrap.contains(record.source.pkgbase()))
    };
    members.bases.iter().map(is_wanted).collect()
}

/// Says in the plan what bootstrap builds are built without, and which cycles cannot be built. The builds
/// of the assembly are lost.
///
/// # Errors
/// When the budget is used up.
pub(super) fn judge<B: Budget>(
    parts: &Parts<'_, '_>,
    assembly: &mut Assembly<'_, B>,
    plan: &mut Plan,
) -> Result<(), B::Over> {
    describe(parts, assembly, plan);
    if let Some(base) = parts.request.base {
        let mut environments = Environments::new(parts, base, assembly)?;
        let found = environments.find(assembly)?;
        let problems = problems(plan, &found);
        plan.problems.extend(problems);
        report(&mut environments, assembly, &found, plan)?;
    }
    plan.problems.sort();
    Ok(())
}

/// Fills in what bootstrap builds are built without.
fn describe<B>(parts: &Parts<'_, '_>, assembly: &Assembly<'_, B>, plan: &mut Plan) {
    let mut wanted: FxHashSet<&Pkgbase> = parts.request.bootstrap.iter().collect();
    if wanted.is_empty() {
        return;
    }
    let members = (0..).zip(&plan.names[..plan.members]);
    let member_of: FxHashMap<&Pkgbase, u32> =
        members.map(|(member, name)| (name, member)).collect();
    for build in &mut plan.builds {
        if let Some(bootstrap) = &mut build.bootstrap
            && let Some(&member) = member_of.get(&build.pkgbase)
        {
            wanted.remove(&build.pkgbase);
            let relations = left_out(parts, assembly, member);
            let mut texts: Vec<Arc<str>> = relations
                .into_iter()
                .map(|relation| parts.world.relation_text(relation).into())
                .collect();
            texts.sort_unstable();
            texts.dedup();
            bootstrap.without = texts;
        }
    }
    plan.problems
        .extend(wanted.into_iter().map(|pkgbase| Problem {
            pkgbase: pkgbase.clone(),
            kind: ProblemKind::BootstrapNotNeeded,
            message:
                "not in a dependency cycle of this plan: there is nothing to bootstrap".to_owned(),
        }));
}

/// Clashes that are told in the same words, each with the first build that has it and the number of builds.
fn grouped<'c>(clashes: impl Iterator<Item = &'c Clash>) -> Vec<(&'c Clash, usize)> {
    let mut groups: BTreeMap<&str, (&Clash, usize)> = BTreeMap::new();
    for clash in clashes {
        let (first, count) = groups.entry(&clash.text).or_insert((clash, 0));
        *count += 1;
        if clash.member < first.member {
            *first = clash;
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(clash, _)| clash.member);
    groups
}

fn problems(plan: &Plan, clashes: &[Clash]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (is_certain, kind) in [
        (true, ProblemKind::NotInstallable),
        (false, ProblemKind::MayNotBeInstallable),
    ] {
        let groups = grouped(
            clashes
                .iter()
                .filter(|clash| clash.is_certain == is_certain),
        );
        let rest = groups.len().saturating_sub(MOST_PROBLEMS);
        let shown = groups.len() - rest;
        for (at, (clash, builds)) in groups.into_iter().take(shown).enumerate() {
            let others = match builds - 1 {
                0 => String::new(),
                1 => "; 1 more build is affected".to_owned(),
                others => format!("; {others} more builds are affected"),
            };
            let more = if rest > 0 && at + 1 == shown {
                format!(" (and {rest} similar problems)")
            } else {
                String::new()
            };
            let (build, text) = (clash.build, &clash.text);
            let message = if is_certain {
                format!("cannot install the dependencies of {build}: {text}{others}{more}")
            } else {
                format!("installing the dependencies of {build} may fail: {text}{others}{more}")
            };
            problems.push(Problem {
                pkgbase: plan.names[clash.member as usize].clone(),
                kind,
                message,
            });
        }
    }
    problems
}

/// Finds, for each cycle that cannot be built, which of its members would have to be bootstrapped.
fn report<B: Budget>(
    environments: &mut Environments<'_, '_>,
    assembly: &mut Assembly<'_, B>,
    clashes: &[Clash],
    plan: &mut Plan,
) -> Result<(), B::Over> {
    let mut of_component: BTreeMap<u32, Vec<&Clash>> = BTreeMap::new();
    for clash in clashes.iter().filter(|clash| clash.forbids_order()) {
        let component = assembly.components.of(clash.member);
        of_component.entry(component).or_default().push(clash);
    }
    // From the last one on, as all that comes behind a cycle is lost when it is tried.
    for (&component, clashes) in of_component.iter().rev() {
        let members = assembly.members(component);
        let mut candidates = candidates(assembly, component, &members, clashes);
        let tried =
            (MOST_TRIED * MEMBERS_OF_MOST_TRIED / members.len().max(1)).clamp(3, MOST_TRIED);
        let untried = candidates.len().saturating_sub(tried);
        candidates.truncate(tried);
        let mut choices = Vec::new();
        for member in candidates {
            assembly.bootstrap[member as usize] = true;
            assembly.again(component)?;
            assembly.bootstrap[member as usize] = false;
            let start = assembly.starts[component as usize];
            if !environments.forbid(assembly, start)? {
                choices.push(plan.names[member as usize].clone());
            }
        }
        choices.sort_unstable();
        let groups = grouped(clashes.iter().copied());
        let rest = groups.len().saturating_sub(MOST_REASONS);
        let reason = |(clash, _): (&Clash, usize)| {
            format!("{}: {}", plan.names[clash.member as usize], clash.text)
        };
        let mut reasons: Vec<String> = groups.into_iter().take(MOST_REASONS).map(reason).collect();
        if rest > 0 {
            reasons.push(format!("and {rest} similar reasons"));
        }
        let members = members.into_iter();
        plan.needs_bootstrap.push(NeedsBootstrap {
            members: members
                .map(|member| plan.names[member as usize].clone())
                .collect(),
            choices,
            untried,
            reasons,
        });
    }
    plan.needs_bootstrap
        .sort_by(|a, b| a.members.cmp(&b.members));
    Ok(())
}

/// The members of a cycle that can do without some of it, in the order in which they are tried: first those
/// whose old packages are in the way, then those whose builds see them.
fn candidates<B>(
    assembly: &Assembly<'_, B>,
    component: u32,
    members: &[u32],
    clashes: &[&Clash],
) -> Vec<u32> {
    let holders = clashes.iter().map(|clash| clash.holder);
    let builds = clashes.iter().map(|clash| clash.member);
    let all = holders.chain(builds).chain(members.iter().copied());
    let mut seen = FxHashSet::default();
    let can_do_without = |member: u32| {
        let mut needs = assembly.graph.needs(member);
        needs
            .any(|edge| is_left_out(edge.kind) && assembly.components.of(edge.install) == component)
    };
    all.filter(|member| members.binary_search(member).is_ok())
        .filter(|&member| seen.insert(member))
        .filter(|&member| !assembly.bootstrap[member as usize] && can_do_without(member))
        .collect()
}
