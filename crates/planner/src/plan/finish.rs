//! The last step: levels, durations, priorities and the order of the builds in the plan.

use std::sync::Arc;

use buildbtw_model::Pkgbase;

use super::assembly::Assembly;
use super::context::PlanContext;
use super::drafts::{Draft, DraftGraph};
use super::estimate::Estimate;
use super::footprint::Footprint;
use super::graph::Graph;
use super::members::Members;
use super::outcome::{Bootstrapped, BrokenEdge, Cycle, Need, Plan, PlannedBuild, Unresolved};
use super::problem::{Problem, ProblemKind};
use super::reasons::Reasons;
use super::request::PlanRequest;
use crate::index::number;
use crate::longest_path::longest_paths;
use crate::world::World;

/// The expected duration of a build if no estimate is known for any build.
const DEFAULT_ESTIMATE_S: u64 = 60;

/// Writes the plan.
pub(super) fn finish<B>(
    context: &PlanContext<'_, '_>,
    reasons: Reasons,
    assembly: &Assembly<'_, B>,
) -> Plan {
    let PlanContext {
        world,
        request,
        members,
        ..
    } = *context;
    let names: Vec<Pkgbase> = members
        .bases
        .iter()
        .chain(&members.origins)
        .chain(&reasons.outside)
        .filter_map(|&base| world.base(base))
        .map(|record| record.source.pkgbase().clone())
        .collect();
    let name = |member: u32| names[member as usize].clone();
    let cycles = cycles(assembly, name);
    let mut relaxed: Vec<(Pkgbase, Pkgbase)> = assembly
        .relaxed
        .iter()
        .map(|&(from, to)| (name(from), name(to)))
        .collect();
    relaxed.sort();
    let unresolved = unresolved(context, &names);
    let problems = problems(context, &names);
    let estimates = estimates(request, &names[..members.bases.len()]);
    let builds = builds(&assembly.drafts, &reasons, &names, &estimates);
    Plan {
        architecture: request.architecture.clone(),
        scope: request.scope,
        builds,
        cycles,
        unresolved,
        problems,
        versions: Vec::new(),
        facts: Vec::new(),
        needs_bootstrap: Vec::new(),
        relaxed,
        members: members.bases.len(),
        names,
        steps: reasons.steps,
        libraries: reasons.libraries,
    }
}

/// Returns the cycles, sorted by the names of their members.
fn cycles<B>(assembly: &Assembly<'_, B>, name: impl Copy + Fn(u32) -> Pkgbase) -> Vec<Cycle> {
    let cycles = assembly.cycles.iter().map(|cycle| {
        let broken = cycle.broken.iter().map(|&(from, to, kind)| BrokenEdge {
            from: name(from),
            to: name(to),
            kind,
        });
        Cycle {
            members: cycle.members.iter().copied().map(name).collect(),
            broken: broken.collect(),
        }
    });
    let mut cycles: Vec<Cycle> = cycles.collect();
    cycles.sort_by(|a, b| a.members.cmp(&b.members));
    cycles
}

/// Returns the unresolved dependencies, sorted by package, name and kind. Those that base satisfies are resolved.
fn unresolved(context: &PlanContext<'_, '_>, names: &[Pkgbase]) -> Vec<Unresolved> {
    let PlanContext {
        world,
        request,
        findings,
        ..
    } = *context;
    let is_in_base = |relation: u32| {
        let base = request.base;
        base.is_some_and(|base| base.satisfies(world.relation_text(relation)))
    };
    let mut all = Vec::with_capacity(findings.unresolved.len());
    // The members are already in the order of their names, so that only short lists must be sorted.
    for group in findings.unresolved.chunk_by(|a, b| a.0 == b.0) {
        let mut entries: Vec<_> = group
            .iter()
            .filter(|(.., relation)| !is_in_base(*relation))
            .map(|&(member, kind, relation)| {
                let name = world.name_text(world.relation_name(relation));
                (name, kind, member)
            })
            .collect();
        entries.sort_unstable();
        entries.dedup();
        all.extend(entries.into_iter().map(|(name, kind, member)| Unresolved {
            pkgbase: names[member as usize].clone(),
            name: Arc::clone(name),
            kind,
        }));
    }
    all
}

/// The expected durations of the members.
struct Expected {
    /// In seconds: the estimate or, if unknown, the median of all known estimates.
    seconds: Vec<u64>,
    known: Vec<Option<Estimate>>,
}

/// Returns the expected duration of each member.
fn estimates(request: &PlanRequest<'_>, names: &[Pkgbase]) -> Expected {
    let known = names.iter().map(|name| request.estimates.of(name));
    let known: Vec<Option<Estimate>> = known.collect();
    let seconds = known.iter().flatten().map(|estimate| estimate.seconds);
    let mut sorted: Vec<u64> = seconds.collect();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied();
    let default = median.unwrap_or(DEFAULT_ESTIMATE_S);
    let seconds = known
        .iter()
        .map(|estimate| estimate.map_or(default, |estimate| estimate.seconds));
    Expected {
        seconds: seconds.collect(),
        known,
    }
}

/// Returns the level of each draft: the length of the longest path to it. The drafts are in topological order.
fn levels(drafts: &[Draft]) -> Vec<u32> {
    let mut levels = vec![0u32; drafts.len()];
    for (at, draft) in drafts.iter().enumerate() {
        let needs = draft.needs.iter();
        let lower = needs.map(|&(need, _)| levels[need as usize] + 1);
        levels[at] = lower.max().unwrap_or(0);
    }
    levels
}

/// Returns the priority of each draft: the remaining critical path from its start.
fn priorities(drafts: &[Draft], estimates: &[u64]) -> Vec<u64> {
    let order = (0..number(drafts.len())).rev();
    longest_paths(DraftGraph(drafts), order, |draft| {
        estimates[drafts[draft as usize].member as usize]
    })
}

fn builds(
    drafts: &[Draft],
    reasons: &Reasons,
    names: &[Pkgbase],
    expected: &Expected,
) -> Vec<PlannedBuild> {
    let (levels, priorities) = (levels(drafts), priorities(drafts, &expected.seconds));
    let mut order: Vec<u32> = (0..number(drafts.len())).collect();
    order.sort_unstable_by_key(|&at| {
        let draft = &drafts[at as usize];
        (levels[at as usize], draft.member, draft.stage)
    });
    let mut place = vec![0usize; drafts.len()];
    for (index, &at) in order.iter().enumerate() {
        place[at as usize] = index;
    }
    order
        .into_iter()
        .map(|at| {
            let draft = &drafts[at as usize];
            let member = draft.member as usize;
            let mut needs: Vec<Need> = draft
                .needs
                .iter()
                .map(|&(need, kind)| Need {
                    build: place[need as usize],
                    kind,
                })
                .collect();
            needs.sort_unstable();
            PlannedBuild {
                pkgbase: names[member].clone(),
                stage: draft.stage,
                level: levels[at as usize],
                needs,
                estimate_s: expected.seconds[member],
                estimate: expected.known[member],
                priority_s: priorities[at as usize],
                is_last_stage: draft.is_last_stage,
                bootstrap: draft.is_bootstrap.then(Bootstrapped::default),
                reason: reasons.last[member],
            }
        })
        .collect()
}

fn problems(context: &PlanContext<'_, '_>, names: &[Pkgbase]) -> Vec<Problem> {
    let PlanContext {
        world,
        request,
        origins,
        members,
        findings,
    } = *context;
    let mut problems = Vec::new();
    for origin in origins {
        if !origin.builds_for(&request.architecture) {
            problems.push(Problem {
                pkgbase: origin.pkgbase().clone(),
                kind: ProblemKind::NotForArchitecture,
                message: format!("it builds no packages for {}", request.architecture),
            });
        }
    }
    for &(member, relation) in &findings.outdated {
        let text = world.relation_text(relation);
        problems.push(Problem {
            pkgbase: names[member as usize].clone(),
            kind: ProblemKind::ConstraintNoLongerMet,
            message: format!(
                "constraint no longer met: {text}{}",
                former_providers(world, relation)
            ),
        });
    }
    for (name, &base) in names.iter().zip(&members.bases) {
        let Some(record) = world.base(base) else {
            continue;
        };
        for bad in record.source.problems() {
            problems.push(Problem {
                pkgbase: name.clone(),
                kind: ProblemKind::BadLine,
                message: format!("line {}: {}", bad.line, bad.reason),
            });
        }
    }
    problems.sort();
    problems
}

/// Describes the origins whose old version met a relation.
fn former_providers(world: &World<'_>, relation: u32) -> String {
    let mut origins: Vec<String> = world
        .old_providers(relation)
        .filter_map(|package| {
            let old = world.base(world.node(package).base)?.source.version();
            let new = &world.base(world.base_of(package))?.source;
            let (pkgbase, new) = (new.pkgbase(), new.version());
            Some(format!(" (met by {pkgbase} {old}, but not by {new})"))
        })
        .collect();
    origins.sort_unstable();
    origins.dedup();
    origins.concat()
}

/// Returns the footprint of the plan.
pub(super) fn footprint(
    world: &World<'_>,
    request: &PlanRequest<'_>,
    members: &Members,
    graph: &Graph,
) -> Footprint {
    let origins = request.origins.iter().map(|origin| origin.pkgbase());
    let mut footprint = Footprint::new(world.index, &request.include, origins);
    for &base in &members.bases {
        footprint.add_base(world, base);
    }
    let installed = graph.installs.iter().map(|install| &install.package);
    for &package in members.reach.packages.iter().chain(installed) {
        footprint.add_package(world, package);
        if let Some(sonames) = request.sonames {
            let name = world.name_text(world.node(package).name);
            for (_, user) in sonames.linked_by(name) {
                footprint.add_name(world.name_number(user));
            }
        }
    }
    footprint
}
