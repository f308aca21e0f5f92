//! Cycles: finds the premature builds, and builds them again.
//!
//! A component with several builds has no topological order. `order` finds an order with few premature builds. A
//! *premature* build comes before a member of its environment, whose old version it sees. It gets a second stage
//! directly after the last member that it missed, and later builds see this stage. So the last stage of each member has
//! every member of its environment as an ancestor: in the first stage if the order allows it, otherwise in the second
//! one. A build between the two stages sees the first one, which is also new.
//!
//! The needs of the builds are the transitive reduction of the constraints in the component.

mod arcs;
mod closures;
mod dense;
mod feedback;
mod order;
mod parts;
mod premature;
mod sequence;
mod solved;

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashSet;

use super::assembly::{Assembly, sort_unique};
use super::drafts::{CycleDraft, Draft};
use crate::budget::Budget;
use crate::index::{DependencyKind, number};

use closures::Closures;
use dense::{Dense, HARD, KINDS, empty_sets};
use order::Parts;
use sequence::Sequence;
pub(super) use solved::SolvedCycle;

/// Adds the builds of a component with several members.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn add<B: Budget>(
    assembly: &mut Assembly<'_, B>,
    component: u32,
    members: &[u32],
) -> Result<(), B::Over> {
    let budget = assembly.budget;
    let closures = Closures::new(assembly, component, members)?;
    let dense = constraints(assembly, &closures, members, |_, _| true)?;
    let cycles = dense.cycles(budget)?;
    let omitted = omitted(assembly, &closures, members, &dense, &cycles);
    let (premature, sequence) = arrange(assembly, &closures, members, &dense, &cycles, &omitted)?;

    let first = number(assembly.drafts.len());
    for (at, step) in sequence.steps.iter().enumerate() {
        budget.check()?;
        let member = members[step.build];
        let without = &omitted[step.build];
        let inner = step.needs.iter();
        let inner = inner.map(|&(need, kind)| (first + number(need), kind));
        let mut needs: Vec<(u32, Option<DependencyKind>)> = inner.collect();
        let outer = if step.stage == 1 {
            let relaxed = is_relaxed(&dense, &sequence, step.build);
            let is_premature = premature.contains(step.build);
            let is_premature = |kind| match kind {
                DependencyKind::Package => relaxed || is_premature,
                _ => is_premature,
            };
            let leads_in = |install| !without.contains(&install);
            closures.outer_needs(assembly, member, leads_in, is_premature)
        } else if !without.is_empty() {
            // The first stage omits some of these.
            closures.outer_needs(assembly, member, |_| true, |_| false)
        } else {
            // The second stage inherits these from the first one.
            Vec::new()
        };
        needs.extend(outer.into_iter().map(|(draft, kind)| (draft, Some(kind))));
        sort_unique(&mut needs);
        let is_last_stage = sequence.last[step.build] == at;
        if is_last_stage {
            assembly.last[member as usize] = first + number(at);
        }
        assembly.drafts.push(Draft {
            member,
            stage: step.stage,
            is_last_stage,
            is_bootstrap: step.stage == 1 && !without.is_empty(),
            needs: needs.into(),
        });
    }
    report(assembly, &dense, &cycles, &sequence, members, &omitted)?;
    let bootstrapped = members.iter().copied().zip(omitted);
    assembly
        .omitted
        .extend(bootstrapped.filter(|(_, without)| !without.is_empty()));
    let solved = closures.finish(first, sequence);
    assembly.solved.insert(component, solved);
    Ok(())
}

/// Returns whether a build comes before one of its relaxed run-time dependencies.
fn is_relaxed(dense: &Dense, sequence: &Sequence, build: usize) -> bool {
    dense.before[DependencyKind::Package as usize][build]
        .ones()
        .any(|need| sequence.first[need] > sequence.first[build])
}

/// Orders the builds of a component, and returns the premature ones.
fn arrange<B: Budget>(
    assembly: &Assembly<'_, B>,
    closures: &Closures,
    members: &[u32],
    dense: &Dense,
    cycles: &[Vec<usize>],
    omitted: &[FxHashSet<u32>],
) -> Result<(FixedBitSet, Sequence), B::Over> {
    let budget = assembly.budget;
    // The constraints of first stages: fewer if some builds are bootstrapped.
    let reduced = if omitted.iter().all(FxHashSet::is_empty) {
        None
    } else {
        let counts = |build: usize, install| !omitted[build].contains(&install);
        let reduced = constraints(assembly, closures, members, counts)?;
        let cycles = reduced.cycles(budget)?;
        Some((reduced, cycles))
    };
    let (firsts, cycles) = match &reduced {
        Some((reduced, cycles)) => (reduced, &**cycles),
        None => (dense, cycles),
    };
    let is_origin = |build: &usize| assembly.graph.origins.contains(members[*build] as usize);
    let origins: Vec<usize> = (0..members.len()).filter(is_origin).collect();
    let order = order::order(firsts, cycles, &origins, budget)?;
    let mut premature = premature::premature(dense, &order);
    let is_bootstrap = |&build: &usize| !omitted[build].is_empty();
    premature.extend((0..members.len()).filter(is_bootstrap));
    let sequence = Sequence::new(dense, firsts, &order, &premature, budget)?;
    Ok((premature, sequence))
}

/// Returns for each build the installs that its bootstrap build omits, which lead back into its cycle. Empty for builds
/// that are not bootstrapped, or that cannot omit anything.
fn omitted<B>(
    assembly: &Assembly<'_, B>,
    closures: &Closures,
    members: &[u32],
    dense: &Dense,
    cycles: &[Vec<usize>],
) -> Vec<FxHashSet<u32>> {
    let mut omitted = vec![FxHashSet::default(); members.len()];
    let is_wanted = |build: usize| assembly.bootstrap.contains(members[build] as usize);
    if !(0..members.len()).any(is_wanted) {
        return omitted;
    }
    for part in cycles {
        for &build in part.iter().filter(|&&build| is_wanted(build)) {
            let is_soft = |need: usize| {
                let kind = dense.kind(build, need);
                kind.is_some_and(is_omitted) && part.binary_search(&need).is_ok()
            };
            for edge in assembly.graph.needs(members[build]) {
                if is_omitted(edge.kind)
                    && let Some(pulled_in) = closures.members_of(&assembly.components, edge.install)
                    && pulled_in.ones().any(is_soft)
                {
                    omitted[build].insert(edge.install);
                }
            }
        }
    }
    omitted
}

/// Returns whether a bootstrap build omits dependencies of this kind that lead into its cycle.
pub(super) fn is_omitted(kind: DependencyKind) -> bool {
    matches!(
        kind,
        DependencyKind::Makedepends | DependencyKind::Checkdepends
    )
}

impl Dense {
    /// Returns the builds that need each other in their environments, in parts; most of the parts are single builds.
    fn cycles<B: Budget>(&self, budget: &B) -> Result<Parts, B::Over> {
        let all: Vec<usize> = (0..self.count).collect();
        order::parts(self, &all, HARD, budget)
    }
}

/// Returns the constraints between the builds of the component, for the installs that `counts` selects.
fn constraints<B: Budget>(
    assembly: &Assembly<'_, B>,
    closures: &Closures,
    members: &[u32],
    counts: impl Fn(usize, u32) -> bool,
) -> Result<Dense, B::Over> {
    let count = members.len();
    let mut before = empty_sets(count);
    for (build, &member) in members.iter().enumerate() {
        assembly.budget.check()?;
        for edge in assembly.graph.needs(member) {
            if counts(build, edge.install)
                && let Some(pulled_in) = closures.members_of(&assembly.components, edge.install)
            {
                before[edge.kind as usize][build].union_with(pulled_in);
            }
        }
    }
    Dense::new(count, before, assembly.budget)
}

/// Reports the broken edges of each cycle, and the relaxed orderings.
fn report<B: Budget>(
    assembly: &mut Assembly<'_, B>,
    dense: &Dense,
    cycles: &[Vec<usize>],
    sequence: &Sequence,
    members: &[u32],
    omitted: &[FxHashSet<u32>],
) -> Result<(), B::Over> {
    let budget = assembly.budget;
    let first_of = &sequence.first;
    for part in cycles.iter().filter(|part| part.len() > 1) {
        let mut broken = Vec::new();
        for &build in part {
            budget.check()?;
            for kind in HARD..KINDS {
                let needs = dense.before[kind][build].ones();
                let kind = DependencyKind::ALL[kind];
                let is_without = |need: &usize| {
                    !omitted[build].is_empty()
                        && is_omitted(kind)
                        && part.binary_search(need).is_ok()
                };
                let missing =
                    needs.filter(|need| first_of[*need] > first_of[build] || is_without(need));
                broken.extend(missing.map(|need| (members[need], members[build], kind)));
            }
        }
        broken.sort_unstable();
        assembly.cycles.push(CycleDraft {
            members: part.iter().map(|&build| members[build]).collect(),
            broken,
        });
    }
    for build in 0..dense.count {
        let relaxed = dense.before[DependencyKind::Package as usize][build]
            .ones()
            .filter(|&need| first_of[need] > first_of[build])
            .map(|need| (members[need], members[build]));
        assembly.relaxed.extend(relaxed);
    }
    Ok(())
}
