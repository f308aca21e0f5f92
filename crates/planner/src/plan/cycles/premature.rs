//! Premature builds of an order: those that come before a member of their environment.

use fixedbitset::FixedBitSet;

use super::dense::{Dense, HARD, KINDS};
use crate::budget::Budget;

/// Returns the builds that come before a member of their environment.
pub(super) fn premature(dense: &Dense, order: &[usize]) -> FixedBitSet {
    let mut placed = FixedBitSet::with_capacity(dense.count);
    let mut premature = FixedBitSet::with_capacity(dense.count);
    for &build in order {
        let lacks = |kind: usize| !dense.before[kind][build].is_subset(&placed);
        premature.set(build, (HARD..KINDS).any(lacks));
        placed.insert(build);
    }
    premature
}

/// The cost of an order: how many builds lack something that they need.
pub(super) struct OrderCost {
    /// For each kind of an environment: how many builds lack a need of that kind or a harder one. The first is the
    /// number of premature builds.
    needs: [usize; KINDS - HARD],
    /// How many builds that are not origins come before an origin in their environment.
    origins: usize,
}

impl OrderCost {
    /// Counts the builds that lack something.
    pub(super) fn count(dense: &Dense, order: &[usize], is_origin: &FixedBitSet) -> Self {
        let mut cost = Self {
            needs: [0; KINDS - HARD],
            origins: 0,
        };
        let mut open = FixedBitSet::with_capacity(dense.count);
        open.insert_range(..);
        for &build in order {
            open.remove(build);
            let missing = |kind: &usize| !dense.before[*kind][build].is_disjoint(&open);
            if let Some(hardest) = (HARD..KINDS).rev().find(missing) {
                for count in &mut cost.needs[..=hardest - HARD] {
                    *count += 1;
                }
                let mut missing = dense.environment(build);
                missing.intersect_with(&open);
                let sees_old = !is_origin.contains(build) && !missing.is_disjoint(is_origin);
                cost.origins += usize::from(sees_old);
            }
        }
        cost
    }

    /// Returns whether fewer builds are premature, without more of them that lack a harder kind or an origin.
    pub(super) fn is_less_than(&self, other: &Self) -> bool {
        let mut kinds = self.needs.iter().zip(&other.needs);
        self.needs[0] < other.needs[0]
            && kinds.all(|(own, other)| own <= other)
            && self.origins <= other.origins
    }
}

/// Moves premature builds after their needs if no build in between needs them. Returns whether any was moved.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn postpone<B: Budget>(
    dense: &Dense,
    order: &mut [usize],
    budget: &B,
) -> Result<bool, B::Over> {
    let mut position = vec![0usize; dense.count];
    for (at, &build) in order.iter().enumerate() {
        position[build] = at;
    }
    let mut moved = false;
    let premature = premature(dense, order);
    let from_the_end: Vec<usize> = order.iter().rev().copied().collect();
    for build in from_the_end {
        budget.check()?;
        if !premature.contains(build) {
            continue;
        }
        let at = position[build];
        let needs = (HARD..KINDS).flat_map(|kind| dense.before[kind][build].ones());
        let Some(last_need) = needs.map(|need| position[need]).max() else {
            continue;
        };
        let mut users = (HARD..KINDS).flat_map(|kind| dense.after[kind][build].ones());
        let stays = users.any(|user| (at..=last_need).contains(&position[user]));
        if last_need > at && !stays {
            order[at..=last_need].rotate_left(1);
            for (at, &build) in order.iter().enumerate().take(last_need + 1).skip(at) {
                position[build] = at;
            }
            moved = true;
        }
    }
    Ok(moved)
}
