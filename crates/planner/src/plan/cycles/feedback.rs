//! The choice of the premature builds of a cycle.
//!
//! A *premature* build is built twice, however many of its needs are missing. So the set of vertices, a *feedback
//! vertex set* (Karp 1972), must be small, and not the set of edges, as found by petgraph's `greedy_feedback_arc_set`,
//! which is only a second candidate (`arcs`). The choice is greedy, similar to that of Eades, Lin and Smyth (1993) for
//! edges: vertices that wait for nothing come first, vertices that nothing waits for come last. If there are neither,
//! the vertex with the most dependents per build that becomes premature comes next. A vertex that would see the old
//! version of an origin is the last choice.

use std::cmp::Reverse;

use fixedbitset::FixedBitSet;

use super::dense::intersection;
use super::parts::PartGraph;
use crate::budget::Budget;
use crate::index::number;

/// The greedy ordering of the parts of a component.
pub(super) struct GreedyOrder<'a> {
    graph: &'a PartGraph<'a>,
    firm_in: Vec<u32>,
    weak_in: Vec<u32>,
    out: Vec<u32>,
    placed: FixedBitSet,
    /// The builds in parts that are not placed yet.
    open: FixedBitSet,
    /// The origins among all builds.
    is_origin: &'a FixedBitSet,
    /// The parts that contain an origin.
    holds_origin: FixedBitSet,
    /// For each part: how many weak needs of its builds are origins in other parts that are not placed yet.
    old_origins: Vec<u32>,
}

impl<'a> GreedyOrder<'a> {
    /// Counts the needs and the dependents of each part.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        graph: &'a PartGraph<'a>,
        is_origin: &'a FixedBitSet,
        budget: &B,
    ) -> Result<Self, B::Over> {
        let count = graph.parts.len();
        let mut greedy = Self {
            graph,
            firm_in: vec![0; count],
            weak_in: vec![0; count],
            out: vec![0; count],
            placed: FixedBitSet::with_capacity(count),
            open: graph.builds.clone(),
            is_origin,
            holds_origin: FixedBitSet::with_capacity(count),
            old_origins: vec![0; count],
        };
        let (before, after) = (&graph.dense.before, &graph.dense.after);
        for build in graph.builds.ones() {
            budget.check()?;
            let count = |sets, kinds| {
                let others = graph.others(&graph.builds, sets, build, kinds);
                number(others.count())
            };
            let part = graph.part_of(build);
            greedy.firm_in[part] += count(before, graph.firm.clone());
            greedy.weak_in[part] += count(before, graph.weak.clone());
            greedy.out[part] += count(after, graph.all());
        }
        greedy.count_origins();
        Ok(greedy)
    }

    /// Counts the parts' needs that are origins.
    fn count_origins(&mut self) {
        let graph = self.graph;
        let after = &graph.dense.after;
        for origin in intersection(&graph.builds, self.is_origin) {
            self.holds_origin.insert(graph.part_of(origin));
            for user in graph.others(&graph.builds, after, origin, graph.weak.clone()) {
                self.old_origins[user] += 1;
            }
        }
    }

    /// Returns whether no part has a firm need in another one, so that every order of the parts is allowed.
    pub(super) fn allows_every_order(&self) -> bool {
        self.firm_in.iter().all(|&count| count == 0)
    }

    /// Orders the parts. Another missing need of a build in `premature` costs nothing.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn run<B: Budget>(
        mut self,
        premature: &FixedBitSet,
        budget: &B,
    ) -> Result<Vec<usize>, B::Over> {
        let count = self.graph.parts.len();
        let mut front = Vec::with_capacity(count);
        let mut back = Vec::new();
        let mut ready: Vec<usize> = (0..count).filter(|&part| self.is_ready(part)).collect();
        let mut sinks: Vec<usize> = (0..count).filter(|&part| self.out[part] == 0).collect();
        loop {
            budget.check()?;
            if let Some(part) = ready.pop() {
                if !self.placed.contains(part) {
                    front.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = sinks.pop() {
                if !self.placed.contains(part) {
                    back.push(part);
                    self.place(part, &mut ready, &mut sinks);
                }
            } else if let Some(part) = self.choose(premature) {
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
        !self.placed.contains(part) && self.firm_in[part] == 0 && self.weak_in[part] == 0
    }

    /// Returns whether a part contains an origin, and whether it would see the old version of one if it came next.
    fn origins(&self, part: usize) -> (bool, bool) {
        let holds_one = self.holds_origin.contains(part);
        (holds_one, !holds_one && self.old_origins[part] > 0)
    }

    /// Chooses the next part among those that only weak needs block: the one with the most dependents per build that
    /// must be built twice.
    fn choose(&self, premature: &FixedBitSet) -> Option<usize> {
        let graph = self.graph;
        let candidates = (0..graph.parts.len())
            .filter(|&part| !self.placed.contains(part) && self.firm_in[part] == 0)
            .map(|part| {
                let builds = &graph.parts[part];
                let cost = match **builds {
                    // It waits for another part; otherwise it would be ready.
                    [build] => usize::from(!premature.contains(build)),
                    _ => builds
                        .iter()
                        .filter(|&&build| {
                            !premature.contains(build) && graph.waits(&self.open, build)
                        })
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
        let graph = self.graph;
        let (before, after) = (&graph.dense.before, &graph.dense.after);
        self.placed.insert(part);
        for &build in &graph.parts[part] {
            self.open.remove(build);
        }
        for &build in &graph.parts[part] {
            for other in graph.others(&self.open, after, build, graph.firm.clone()) {
                self.firm_in[other] -= 1;
                if self.firm_in[other] == 0 && self.weak_in[other] == 0 {
                    ready.push(other);
                }
            }
            for other in graph.others(&self.open, after, build, graph.weak.clone()) {
                self.weak_in[other] -= 1;
                if self.firm_in[other] == 0 && self.weak_in[other] == 0 {
                    ready.push(other);
                }
                if self.is_origin.contains(build) {
                    self.old_origins[other] -= 1;
                }
            }
            for other in graph.others(&self.open, before, build, graph.all()) {
                self.out[other] -= 1;
                if self.out[other] == 0 {
                    sinks.push(other);
                }
            }
        }
    }
}
