//! The builds of a component as a sequence, some of them twice, and what each of them waits for.

use super::dense::{Dense, HARD, KINDS};
use crate::bits::{BitMatrix, highest, ones, subtract};
use crate::index::DependencyKind;
use crate::plan::budget::Budget;

/// Marks a build that was not placed yet.
const NOWHERE: usize = usize::MAX;

/// One build of the sequence.
pub(super) struct Step {
    pub(super) build: usize,
    pub(super) stage: u32,
    /// Earlier steps; nothing as kind for the first stage of the same build.
    pub(super) needs: Vec<(usize, Option<DependencyKind>)>,
}

/// The builds of a component in a valid order.
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    /// For each build: its first step.
    pub(super) first: Vec<usize>,
    /// For each build: its last step.
    pub(super) last: Vec<usize>,
    /// For each step: all steps before it that it waits for, directly or not.
    pub(super) ancestors: BitMatrix,
}

impl Sequence {
    /// Puts the builds down, and finds what each waits for. `firsts` is what counts for first stages.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn new<B: Budget>(
        dense: &Dense,
        firsts: &Dense,
        order: &[usize],
        early: &[bool],
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut sequence = Self {
            steps: Vec::new(),
            first: vec![NOWHERE; dense.count],
            last: vec![NOWHERE; dense.count],
            ancestors: BitMatrix::new(0, 0),
        };
        let plan = placement(dense, order, early);
        sequence.ancestors = BitMatrix::new(plan.len(), plan.len());
        let mut newest = vec![NOWHERE; dense.count];
        for (at, (build, stage)) in plan.into_iter().enumerate() {
            budget.check()?;
            let counts = if stage == 1 { firsts } else { dense };
            let needs = sequence.needs(counts, build, stage, at, &newest);
            sequence.steps.push(Step {
                build,
                stage,
                needs,
            });
            newest[build] = at;
            if stage == 1 {
                sequence.first[build] = at;
            }
            sequence.last[build] = at;
        }
        Ok(sequence)
    }

    /// What a step waits for, without what follows from the rest.
    fn needs(
        &mut self,
        dense: &Dense,
        build: usize,
        stage: u32,
        at: usize,
        newest: &[usize],
    ) -> Vec<(usize, Option<DependencyKind>)> {
        let mut wanted = vec![0u64; self.ancestors.row(at).len()];
        let softest = if stage == 1 { 0 } else { HARD };
        for kind in softest..KINDS {
            for need in ones(dense.before[kind].row(build)) {
                if newest[need] != NOWHERE {
                    wanted[newest[need] / 64] |= 1 << (newest[need] % 64);
                }
            }
        }
        if stage > 1 {
            wanted[newest[build] / 64] |= 1 << (newest[build] % 64);
        }
        let steps = &self.steps;
        let kind = |step: usize| dense.kind(build, steps[step].build);
        let reduced = reduce(&self.ancestors, &mut wanted);
        let needs: Vec<_> = reduced.into_iter().map(|step| (step, kind(step))).collect();
        for &(step, _) in &needs {
            self.ancestors.merge(step, at);
            self.ancestors.set(at, step);
        }
        needs
    }
}

/// The steps of a set that do not follow from others of it; empties the set.
pub(super) fn reduce(ancestors: &BitMatrix, wanted: &mut [u64]) -> Vec<usize> {
    let mut kept = Vec::new();
    while let Some(step) = highest(wanted) {
        kept.push(step);
        wanted[step / 64] &= !(1 << (step % 64));
        subtract(wanted, ancestors.row(step));
    }
    kept
}

/// Puts the second stage of each build that comes too early behind the last thing it lacks.
fn placement(dense: &Dense, order: &[usize], early: &[bool]) -> Vec<(usize, u32)> {
    let mut position = vec![0; dense.count];
    for (at, &build) in order.iter().enumerate() {
        position[build] = at;
    }
    let mut again: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    // In the order of the first stages, so that of two at one place the second sees the first.
    for &build in order.iter().filter(|&&build| early[build]) {
        let environment = dense.environment(build);
        let last_need = ones(&environment).map(|need| position[need]).max();
        let first_stage = position[build];
        again[last_need.map_or(first_stage, |need| need.max(first_stage))].push(build);
    }
    let mut plan = Vec::with_capacity(order.len());
    for (at, &build) in order.iter().enumerate() {
        plan.push((build, 1));
        plan.extend(again[at].iter().map(|&build| (build, 2)));
    }
    plan
}
