//! Cycles: which builds come too early, and are built again.
//!
//! A component with several builds cannot be built in an order in which everything is there before
//! it is needed. `order` finds one in which little is missing. A build that lacks a member of its
//! environment sees that member's old version; such a build gets a second stage, put right behind
//! the last thing it lacked. From there on everybody sees the second stage. So the last build of
//! each member had every member of its environment in a new version as its ancestor: directly where
//! the order holds, and by the second stage where it does not. A build between the two stages sees
//! the first one, which is new too.
//!
//! The needs written down are the transitive reduction of the constraints inside the component.

mod behind;
mod dense;
mod order;
mod sequence;

use super::assemble::{Assembly, CycleDraft, Draft, unique};
use super::budget::Budget;
use crate::bits::{BitMatrix, ones, unite};
use crate::index::{DependencyKind, number};

pub(super) use behind::Cyclic;
use behind::Inside;
use dense::{Dense, HARD, KINDS};
use sequence::Sequence;

/// Adds the builds of a component with several members.
///
/// # Errors
/// When the budget is used up.
pub(super) fn add<B: Budget>(
    assembly: &mut Assembly<'_, B>,
    component: u32,
    members: &[u32],
) -> Result<(), B::Over> {
    let budget = assembly.budget;
    let inside = Inside::new(assembly, component, members)?;
    let dense = constraints(assembly, &inside, members)?;
    let order = order::order(&dense, budget)?;
    let early = order::too_early(&dense, &order);
    let sequence = Sequence::new(&dense, &order, &early, budget)?;

    let first = number(assembly.drafts.len());
    for (at, step) in sequence.steps.iter().enumerate() {
        budget.check()?;
        let member = members[step.build];
        let mut needs: Vec<(u32, Option<DependencyKind>)> = step
            .needs
            .iter()
            .map(|&(need, kind)| (first + number(need), kind))
            .collect();
        if step.stage == 1 {
            // The second stage has these through the first one.
            let relaxed = ones(dense.before[DependencyKind::Package as usize].row(step.build))
                .any(|need| sequence.first[need] > sequence.first[step.build]);
            let outer = inside.outer_needs(assembly, member, |kind| match kind {
                DependencyKind::Package => relaxed || early[step.build],
                _ => early[step.build],
            });
            needs.extend(outer.into_iter().map(|(draft, kind)| (draft, Some(kind))));
        }
        let is_last_stage = sequence.last[step.build] == at;
        if is_last_stage {
            assembly.last[member as usize] = first + number(at);
        }
        assembly.drafts.push(Draft {
            member,
            stage: step.stage,
            is_last_stage,
            needs: unique(needs),
        });
    }
    report(assembly, &dense, &sequence, members)?;
    let cyclic = inside.finish(first, sequence);
    assembly.cyclic.insert(component, cyclic);
    Ok(())
}

/// Writes out who needs whom inside the component.
fn constraints<B: Budget>(
    assembly: &Assembly<'_, B>,
    inside: &Inside,
    members: &[u32],
) -> Result<Dense, B::Over> {
    let count = members.len();
    let mut before: [BitMatrix; KINDS] = std::array::from_fn(|_| BitMatrix::new(count, count));
    for (build, &member) in members.iter().enumerate() {
        assembly.budget.check()?;
        for edge in assembly.graph.needs.row(member) {
            if let Some(row) = inside.members_behind(edge.install) {
                unite(before[edge.kind as usize].row_mut(build), row);
            }
        }
    }
    Dense::new(count, before, assembly.budget)
}

/// Says which constraints were broken, per cycle of what environments hold.
fn report<B: Budget>(
    assembly: &mut Assembly<'_, B>,
    dense: &Dense,
    sequence: &Sequence,
    members: &[u32],
) -> Result<(), B::Over> {
    let budget = assembly.budget;
    let parts = order::parts(dense, &(0..dense.count).collect::<Vec<_>>(), HARD, budget)?;
    let first_of = &sequence.first;
    for part in parts.iter().filter(|part| part.len() > 1) {
        let mut broken = Vec::new();
        for &build in part {
            budget.check()?;
            for kind in HARD..KINDS {
                let missing = ones(dense.before[kind].row(build))
                    .filter(|&need| first_of[need] > first_of[build]);
                let kind = DependencyKind::ALL[kind];
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
        let gave_way = ones(dense.before[DependencyKind::Package as usize].row(build))
            .filter(|&need| first_of[need] > first_of[build])
            .map(|need| (members[need], members[build]));
        assembly.relaxed.extend(gave_way);
    }
    Ok(())
}
