//! Bootstrap builds: members of a cycle that are built first without their dependencies in the cycle, and again when
//! these have been built.
//!
//! The user must request them, because the `PKGBUILD` must support such a build. This module finds out whether a cycle
//! can be built without one, and which ones would help.

use std::collections::BTreeMap;
use std::sync::Arc;

use buildbtw_model::Pkgbase;
use fixedbitset::FixedBitSet;
use rustc_hash::{FxHashMap, FxHashSet};

use super::assembly::Assembly;
use super::context::PlanContext;
use super::cycles::is_omitted;
use super::install_check::{Environments, UnmetDependency};
use super::members::{Members, OUTSIDE};
use super::omitted::omitted;
use super::outcome::{NeedsBootstrap, Plan};
use super::problem::{Problem, ProblemKind};
use super::request::PlanRequest;
use crate::budget::Budget;
use crate::world::World;

/// The maximum number of members of a cycle that are tried.
const MAX_TRIED: usize = 12;
/// The size of the largest cycle in which that many are tried. In larger cycles, fewer are tried.
const MEMBERS_WITH_MAX_TRIED: usize = 1_000;
/// The maximum number of reasons per cycle, and of problems of one kind per plan. The rest is only counted.
const MAX_REASONS: usize = 20;
const MAX_PROBLEMS: usize = 100;

/// Returns the members for which a bootstrap build is requested.
pub(super) fn requested(
    world: &World<'_>,
    members: &Members,
    request: &PlanRequest<'_>,
) -> FixedBitSet {
    let mut requested = FixedBitSet::with_capacity(members.bases.len());
    let named = request.bootstrap.iter();
    let bases = named.filter_map(|pkgbase| world.number_of(pkgbase));
    let numbers = bases.map(|base| members.member_of[base as usize]);
    requested.extend(
        numbers
            .filter(|&member| member != OUTSIDE)
            .map(|member| member as usize),
    );
    requested
}

/// Adds to the plan what bootstrap builds omit, and which cycles cannot be built. Discards the builds of the assembly.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn check<B: Budget>(
    context: &PlanContext<'_, '_>,
    assembly: &mut Assembly<'_, B>,
    plan: &mut Plan,
) -> Result<(), B::Over> {
    describe(context, assembly, plan);
    if let Some(base) = context.request.base {
        let mut environments = Environments::new(context, base, assembly)?;
        let found = environments.find_unmet(assembly)?;
        let problems = problems(plan, &found);
        plan.problems.extend(problems);
        find_choices(&mut environments, assembly, &found, plan)?;
    }
    plan.problems.sort();
    Ok(())
}

/// Sets what bootstrap builds omit.
fn describe<B>(context: &PlanContext<'_, '_>, assembly: &Assembly<'_, B>, plan: &mut Plan) {
    let mut wanted: FxHashSet<&Pkgbase> = context.request.bootstrap.iter().collect();
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
            let relations = omitted(context, assembly, member);
            let mut texts: Vec<Arc<str>> = relations
                .into_iter()
                .map(|relation| context.world.relation_text(relation).into())
                .collect();
            texts.sort_unstable();
            texts.dedup();
            bootstrap.without = texts;
        }
    }
    plan.problems.extend(
        wanted
            .into_iter()
            .map(|pkgbase| not_needed(pkgbase.clone())),
    );
}

/// Returns the problem of a bootstrap build that breaks no cycle.
fn not_needed(pkgbase: Pkgbase) -> Problem {
    Problem {
        pkgbase,
        kind: ProblemKind::BootstrapNotNeeded,
        message: "not in a dependency cycle of this plan: there is nothing to bootstrap".to_owned(),
    }
}

/// Groups unmet dependencies by their text. Returns the one of the first build and the number of builds for each text.
fn grouped<'c>(
    unmet: impl Iterator<Item = &'c UnmetDependency>,
) -> Vec<(&'c UnmetDependency, usize)> {
    let mut groups: BTreeMap<&str, (&UnmetDependency, usize)> = BTreeMap::new();
    for unmet in unmet {
        let (first, count) = groups.entry(&unmet.text).or_insert((unmet, 0));
        *count += 1;
        if unmet.member < first.member {
            *first = unmet;
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(unmet, _)| unmet.member);
    groups
}

fn problems(plan: &Plan, unmet: &[UnmetDependency]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (is_certain, kind) in [
        (true, ProblemKind::NotInstallable),
        (false, ProblemKind::MayNotBeInstallable),
    ] {
        let groups = grouped(unmet.iter().filter(|unmet| unmet.is_certain == is_certain));
        let rest = groups.len().saturating_sub(MAX_PROBLEMS);
        let shown = groups.len() - rest;
        for (at, (unmet, builds)) in groups.into_iter().take(shown).enumerate() {
            let rest = if at + 1 == shown { rest } else { 0 };
            problems.push(Problem {
                pkgbase: plan.names[unmet.member as usize].clone(),
                kind,
                message: message(unmet, builds, rest),
            });
        }
    }
    problems
}

/// Returns the message for an unmet dependency of some builds, and for `rest` similar ones.
fn message(unmet: &UnmetDependency, builds: usize, rest: usize) -> String {
    let others = match builds - 1 {
        0 => String::new(),
        1 => "; 1 more build is affected".to_owned(),
        others => format!("; {others} more builds are affected"),
    };
    let more = match rest {
        0 => String::new(),
        rest => format!(" (and {rest} similar problems)"),
    };
    let (build, text) = (unmet.build, &unmet.text);
    if unmet.is_certain {
        format!("cannot install the dependencies of {build}: {text}{others}{more}")
    } else {
        format!("installing the dependencies of {build} may fail: {text}{others}{more}")
    }
}

/// Finds, for each cycle that cannot be built, the members that could be bootstrapped to make it buildable.
fn find_choices<B: Budget>(
    environments: &mut Environments<'_, '_>,
    assembly: &mut Assembly<'_, B>,
    unmet: &[UnmetDependency],
    plan: &mut Plan,
) -> Result<(), B::Over> {
    let mut of_component: BTreeMap<u32, Vec<&UnmetDependency>> = BTreeMap::new();
    for unmet in unmet.iter().filter(|unmet| unmet.rules_out_order()) {
        let component = assembly.components.of(unmet.member);
        of_component.entry(component).or_default().push(unmet);
    }
    // Backwards, because trying a cycle discards all later builds.
    for (&component, unmet) in of_component.iter().rev() {
        let members = assembly.members(component);
        let mut candidates = candidates(assembly, component, &members, unmet);
        let tried = (MAX_TRIED * MEMBERS_WITH_MAX_TRIED / members.len().max(1)).clamp(3, MAX_TRIED);
        let untried = candidates.len().saturating_sub(tried);
        candidates.truncate(tried);
        let mut choices = Vec::new();
        for member in candidates {
            assembly.bootstrap.insert(member as usize);
            assembly.reorder_cycle(component)?;
            assembly.bootstrap.remove(member as usize);
            let start = assembly.starts[component as usize];
            if !environments.has_order_problem(assembly, start)? {
                choices.push(plan.names[member as usize].clone());
            }
        }
        choices.sort_unstable();
        let groups = grouped(unmet.iter().copied());
        let rest = groups.len().saturating_sub(MAX_REASONS);
        let reason = |(unmet, _): (&UnmetDependency, usize)| {
            format!("{}: {}", plan.names[unmet.member as usize], unmet.text)
        };
        let mut reasons: Vec<String> = groups.into_iter().take(MAX_REASONS).map(reason).collect();
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

/// Returns the members that can omit dependencies in their cycle, in the order in which they are tried: first those
/// whose old packages have unmet dependencies, then those whose builds install these packages.
fn candidates<B>(
    assembly: &Assembly<'_, B>,
    component: u32,
    members: &[u32],
    unmet: &[&UnmetDependency],
) -> Vec<u32> {
    let holders = unmet.iter().map(|unmet| unmet.holder);
    let builds = unmet.iter().map(|unmet| unmet.member);
    let all = holders.chain(builds).chain(members.iter().copied());
    let mut seen = FxHashSet::default();
    let can_do_without = |member: u32| {
        let mut needs = assembly.graph.needs(member);
        needs.any(|edge| is_omitted(edge.kind) && assembly.components.of(edge.install) == component)
    };
    all.filter(|member| members.binary_search(member).is_ok())
        .filter(|&member| seen.insert(member))
        .filter(|&member| !assembly.bootstrap.contains(member as usize) && can_do_without(member))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_match_snapshot() {
        let unmet = |is_certain| UnmetDependency {
            member: 0,
            build: "the rebuild",
            holder: 0,
            text: "b needs liba.so=1".to_owned(),
            is_certain,
            depends_on_order: false,
        };
        let messages = [
            message(&unmet(true), 1, 0),
            message(&unmet(true), 2, 0),
            message(&unmet(true), 3, 7),
            message(&unmet(false), 1, 0),
            not_needed("b".parse().unwrap()).message,
        ];
        insta::assert_snapshot!(messages.join("\n"));
    }
}
