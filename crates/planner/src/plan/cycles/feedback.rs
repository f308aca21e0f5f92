//! The choice of the premature builds of a cycle.
//!
//! A *premature* build is built twice, however many of its needs are missing. So the set of vertices, a *feedback
//! vertex set* (Karp 1972), must be small, and not the set of edges, as found by petgraph's `greedy_feedback_arc_set`;
//! the tests use that as a baseline. The choice is greedy, similar to that of Eades, Lin and Smyth (1993) for edges:
//! vertices that wait for nothing come first, vertices that nothing waits for come last. If there are neither, the
//! vertex with the most dependents per build that becomes premature comes next. A vertex that would see the old
//! version of an origin is the last choice.

use std::cmp::Reverse;
use std::ops::Range;

use fixedbitset::FixedBitSet;

use super::dense::{Dense, HARD, KINDS, Sets, intersection, linked};
use crate::budget::Budget;
use crate::index::number;

/// Means a build that is not in any of the parts to order.
const ELSEWHERE: u32 = u32::MAX;

/// The greedy ordering of the parts of a component.
pub(super) struct GreedyOrder<'a> {
    dense: &'a Dense,
    parts: &'a [Vec<usize>],
    part_of: Vec<u32>,
    /// The kinds that may be broken.
    weak: Range<usize>,
    /// The softest kind that may not be broken.
    firm: usize,
    firm_in: Vec<u32>,
    weak_in: Vec<u32>,
    out: Vec<u32>,
    placed: Vec<bool>,
    /// The builds in parts that are not placed yet.
    open: FixedBitSet,
    /// The origins among all builds.
    is_origin: &'a FixedBitSet,
    /// For each part: whether it contains an origin.
    holds_origin: Vec<bool>,
    /// For each part: how many weak needs of its builds are origins in other parts that are not placed yet.
    old_origins: Vec<u32>,
}

impl<'a> GreedyOrder<'a> {
    /// Counts the needs and the dependents of each part, by the kinds of a tier and harder ones.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        dense: &'a Dense,
        builds: &[usize],
        parts: &'a [Vec<usize>],
        tier: usize,
        is_origin: &'a FixedBitSet,
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut part_of = vec![ELSEWHERE; dense.count];
        for (part, builds) in (0..).zip(parts) {
            for &build in builds {
                part_of[build] = part;
            }
        }
        let mut open = FixedBitSet::with_capacity(dense.count);
        open.extend(builds.iter().copied());
        let mut greedy = Self {
            dense,
            parts,
            part_of,
            // The softest kind matters only in its own tier.
            weak: if tier == 0 { 0..1 } else { HARD..tier + 1 },
            firm: tier + 1,
            firm_in: vec![0; parts.len()],
            weak_in: vec![0; parts.len()],
            out: vec![0; parts.len()],
            placed: vec![false; parts.len()],
            open,
            is_origin,
            holds_origin: vec![false; parts.len()],
            old_origins: vec![0; parts.len()],
        };
        for &build in builds {
            budget.check()?;
            let part = greedy.part_of[build] as usize;
            let all = greedy.weak.start..KINDS;
            let count = |sets, kinds| {
                let others = others(&greedy.open, &greedy.part_of, sets, build, kinds);
                number(others.count())
            };
            let firm = count(&dense.before, greedy.firm..KINDS);
            let weak = count(&dense.before, greedy.weak.clone());
            let out = count(&dense.after, all);
            greedy.firm_in[part] += firm;
            greedy.weak_in[part] += weak;
            greedy.out[part] += out;
        }
        greedy.count_origins();
        Ok(greedy)
    }

    /// Counts the parts' needs that are origins.
    fn count_origins(&mut self) {
        for origin in intersection(&self.open, self.is_origin) {
            self.holds_origin[self.part_of[origin] as usize] = true;
            let after = &self.dense.after;
            for user in others(&self.open, &self.part_of, after, origin, self.weak.clone()) {
                self.old_origins[user] += 1;
            }
        }
    }

    /// Orders the parts, and adds the builds that become premature to `premature`.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn run<B: Budget>(
        mut self,
        premature: &mut FixedBitSet,
        budget: &B,
    ) -> Result<Vec<usize>, B::Over> {
        let mut front = Vec::with_capacity(self.parts.len());
        let mut back = Vec::new();
        let count = self.parts.len();
        let mut ready: Vec<usize> = (0..count).filter(|&part| self.is_ready(part)).collect();
        let mut sinks: Vec<usize> = (0..count).filter(|&part| self.out[part] == 0).collect();
        loop {
            budget.check()?;
            if let Some(part) = ready.pop() {
                if !self.placed[part] {
                    front.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = sinks.pop() {
                if !self.placed[part] {
                    back.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = self.choose(premature) {
                // A dependency that the build does not install does not make it premature.
                if self.firm > HARD {
                    for &build in &self.parts[part] {
                        if self.waits(build) {
                            premature.insert(build);
                        }
                    }
                }
                front.push(part);
                self.place(part, &mut ready, &mut sinks);
            } else {
                break;
            }
        }
        front.extend(back.into_iter().rev());
        Ok(front)
    }

    fn is_ready(&self, part: usize) -> bool {
        !self.placed[part] && self.firm_in[part] == 0 && self.weak_in[part] == 0
    }

    /// Returns whether a build has a weak need that is not placed yet.
    fn waits(&self, build: usize) -> bool {
        let own = self.part_of[build];
        linked(&self.dense.before, build, self.weak.clone(), &self.open)
            .any(|need| self.part_of[need] != own)
    }

    /// Returns whether a part contains an origin, and whether it would see the old version of one if it came next.
    fn origins(&self, part: usize) -> (bool, bool) {
        let holds_one = self.holds_origin[part];
        (holds_one, !holds_one && self.old_origins[part] > 0)
    }

    /// Chooses the next part among those that only weak needs block: the one with the most dependents per build that
    /// must be built twice.
    fn choose(&self, premature: &FixedBitSet) -> Option<usize> {
        let candidates = (0..self.parts.len())
            .filter(|&part| !self.placed[part] && self.firm_in[part] == 0)
            .map(|part| {
                let builds = &self.parts[part];
                let cost = match **builds {
                    // It waits for another part; otherwise it would be ready.
                    [build] => usize::from(!premature.contains(build)),
                    _ => builds
                        .iter()
                        .filter(|&&build| !premature.contains(build) && self.waits(build))
                        .count(),
                };
                (part, cost, self.origins(part))
            });
        candidates
            .max_by(|&(a, cost_a, origins_a), &(b, cost_b, origins_b)| {
                let benefit_a = u64::from(self.out[a]) * cost_b as u64;
                let benefit_b = u64::from(self.out[b]) * cost_a as u64;
                // A part that sees an old origin comes last.
                (origins_b.1)
                    .cmp(&origins_a.1)
                    .then_with(|| benefit_a.cmp(&benefit_b))
                    .then_with(|| origins_a.0.cmp(&origins_b.0))
                    .then_with(|| self.weak_in[b].cmp(&self.weak_in[a]))
                    .then_with(|| Reverse(a).cmp(&Reverse(b)))
            })
            .map(|(part, ..)| part)
    }

    fn place(&mut self, part: usize, ready: &mut Vec<usize>, sinks: &mut Vec<usize>) {
        let Self {
            dense,
            parts,
            part_of,
            weak,
            firm,
            firm_in,
            weak_in,
            out,
            placed,
            open,
            is_origin,
            holds_origin,
            old_origins,
        } = self;
        placed[part] = true;
        for &build in &parts[part] {
            open.remove(build);
        }
        for &build in &parts[part] {
            let mut freed = |other: usize, firm_in: &[u32], weak_in: &[u32]| {
                if firm_in[other] == 0 && weak_in[other] == 0 {
                    ready.push(other);
                }
            };
            for other in others(open, part_of, &dense.after, build, *firm..KINDS) {
                firm_in[other] -= 1;
                freed(other, firm_in, weak_in);
            }
            for other in others(open, part_of, &dense.after, build, weak.clone()) {
                weak_in[other] -= 1;
                freed(other, firm_in, weak_in);
                if holds_origin[part] && is_origin.contains(build) {
                    old_origins[other] -= 1;
                }
            }
            let all = weak.start..KINDS;
            for other in others(open, part_of, &dense.before, build, all) {
                out[other] -= 1;
                if out[other] == 0 {
                    sinks.push(other);
                }
            }
        }
    }
}

/// Returns the parts at the other end of a build's edges, without placed parts and its own.
fn others<'a>(
    open: &'a FixedBitSet,
    part_of: &'a [u32],
    sets: &'a Sets,
    build: usize,
    kinds: Range<usize>,
) -> impl Iterator<Item = usize> {
    let own = part_of[build];
    linked(sets, build, kinds, open)
        .map(|other| part_of[other])
        .filter(move |&part| part != own)
        .map(|part| part as usize)
}
