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
