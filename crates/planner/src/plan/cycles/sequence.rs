//! The builds of a component as a sequence, some of them twice, with their needs.

use fixedbitset::FixedBitSet;

use super::dense::{Dense, HARD, KINDS};
use crate::budget::Budget;
use crate::index::DependencyKind;

/// Means a build that is not placed yet.
const NOWHERE: usize = usize::MAX;

/// A build of the sequence.
pub(super) struct Step {
    pub(super) build: usize,
    pub(super) stage: u32,
    /// Earlier steps; the kind is `None` for the first stage of the same build.
    pub(super) needs: Vec<(usize, Option<DependencyKind>)>,
}

/// The builds of a component in a valid order.
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    /// For each build: its first step.
    pub(super) first: Vec<usize>,
    /// For each build: its last step.
    pub(super) last: Vec<usize>,
    /// For each step: all earlier steps that it waits for, directly or indirectly.
    pub(super) ancestors: Vec<FixedBitSet>,
}

impl Sequence {
    /// Places the builds and finds their needs. `firsts` are the constraints of first stages.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        dense: &Dense,
        firsts: &Dense,
        order: &[usize],
        premature: &FixedBitSet,
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut sequence = Self {
            steps: Vec::new(),
            first: vec![NOWHERE; dense.count],
            last: vec![NOWHERE; dense.count],
            ancestors: Vec::new(),
        };
        let plan = placement(dense, order, premature);
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

    /// Returns the needs of a step, without those that others imply.
    fn needs(
        &mut self,
        dense: &Dense,
        build: usize,
        stage: u32,
        at: usize,
        newest: &[usize],
    ) -> Vec<(usize, Option<DependencyKind>)> {
        let mut wanted = FixedBitSet::with_capacity(at);
        let softest = if stage == 1 { 0 } else { HARD };
        for kind in softest..KINDS {
            let needs = dense.before[kind][build].ones();
            let steps = needs.map(|need| newest[need]);
            wanted.extend(steps.filter(|&step| step != NOWHERE));
        }
        if stage > 1 {
            wanted.insert(newest[build]);
        }
        let steps = &self.steps;
        let kind = |step: usize| dense.kind(build, steps[step].build);
        let reduced = reduce(&self.ancestors, &mut wanted);
        let needs: Vec<_> = reduced.into_iter().map(|step| (step, kind(step))).collect();
        // The set is empty now, and is reused for the ancestors.
        let mut ancestors = wanted;
        for &(step, _) in &needs {
            ancestors.union_with(&self.ancestors[step]);
            ancestors.insert(step);
        }
        self.ancestors.push(ancestors);
        needs
    }
}

/// Returns the transitive reduction of a step's needs (Aho, Garey and Ullman 1972): those that the others do not imply.
/// Empties the set. Steps are in topological order, so that no other need implies the last remaining one. petgraph's
/// `dag_transitive_reduction_closure` reduces a whole graph at once and keeps the closure in lists, although one bit
/// per pair is enough.
pub(super) fn reduce(ancestors: &[FixedBitSet], wanted: &mut FixedBitSet) -> Vec<usize> {
    let mut kept = Vec::new();
    while let Some(step) = wanted.maximum() {
        kept.push(step);
        wanted.remove(step);
        wanted.difference_with(&ancestors[step]);
    }
    kept
}

/// Places the second stage of each premature build after the last member that it misses.
fn placement(dense: &Dense, order: &[usize], premature: &FixedBitSet) -> Vec<(usize, u32)> {
    let mut position = vec![0; dense.count];
    for (at, &build) in order.iter().enumerate() {
        position[build] = at;
    }
    let mut second_stages: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    // In the order of the first stages, so that of two at one position the second sees the first.
    for &build in order.iter().filter(|&&build| premature.contains(build)) {
        let environment = dense.environment(build);
        let last_need = environment.ones().map(|need| position[need]).max();
        let first_stage = position[build];
        second_stages[last_need.map_or(first_stage, |need| need.max(first_stage))].push(build);
    }
    let mut plan = Vec::with_capacity(order.len());
    for (at, &build) in order.iter().enumerate() {
        plan.push((build, 1));
        plan.extend(second_stages[at].iter().map(|&build| (build, 2)));
    }
    plan
}
