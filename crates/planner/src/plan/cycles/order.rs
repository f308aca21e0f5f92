//! An order of the builds in a component with few premature builds.
//!
//! The softest kind of dependency must be broken first, so the component is split one kind at a time: without the
//! softest kind it falls apart into smaller components, which `feedback` orders. Each of these is then split by the
//! next kind. Finally, premature builds are postponed if that makes no other build premature.

use fixedbitset::FixedBitSet;
use petgraph::algo::kosaraju_scc;

use super::dense::{Dense, KINDS};
use super::feedback::GreedyOrder;
use super::premature::postpone;
use crate::budget::Budget;

/// Orders all builds of a component.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn order<B: Budget>(
    dense: &Dense,
    origins: &[usize],
    budget: &B,
) -> Result<Vec<usize>, B::Over> {
    let mut is_origin = FixedBitSet::with_capacity(dense.count);
    is_origin.extend(origins.iter().copied());
    let mut arrange = Arrange {
        dense,
        budget,
        is_origin,
        premature: FixedBitSet::with_capacity(dense.count),
        order: Vec::with_capacity(dense.count),
    };
    arrange.component((0..dense.count).collect(), 0)?;
    let mut order = arrange.order;
    // Postponing one build often allows it for another; after a few rounds hardly anything changes.
    for _ in 0..3 {
        if !postpone(dense, &mut order, budget)? {
            break;
        }
    }
    Ok(order)
}

struct Arrange<'a, B> {
    dense: &'a Dense,
    budget: &'a B,
    /// The origins among the builds.
    is_origin: FixedBitSet,
    /// Builds that are already premature, so that another missing need costs nothing.
    premature: FixedBitSet,
    order: Vec<usize>,
}

impl<B: Budget> Arrange<'_, B> {
    /// Appends builds that are strongly connected by needs of kind `tier` or harder.
    fn component(&mut self, builds: Vec<usize>, tier: usize) -> Result<(), B::Over> {
        if builds.len() < 2 || tier >= KINDS {
            self.order.extend(builds);
            return Ok(());
        }
        let parts = parts(self.dense, &builds, tier + 1, self.budget)?;
        if parts.len() == 1 {
            return self.component(builds, tier + 1);
        }
        let greedy = GreedyOrder::new(
            self.dense,
            &builds,
            &parts,
            tier,
            &self.is_origin,
            self.budget,
        )?;
        let order = greedy.run(&mut self.premature, self.budget)?;
        let mut parts = parts;
        for part in order {
            self.component(std::mem::take(&mut parts[part]), tier + 1)?;
        }
        Ok(())
    }
}

/// Returns the components of some builds with needs of kind `tier` or harder.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn parts<B: Budget>(
    dense: &Dense,
    builds: &[usize],
    tier: usize,
    budget: &B,
) -> Result<Vec<Vec<usize>>, B::Over> {
    budget.check()?;
    let mut parts = kosaraju_scc(&dense.part(builds, tier..KINDS));
    for part in &mut parts {
        part.sort_unstable();
    }
    parts.sort_unstable();
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use petgraph::algo::greedy_feedback_arc_set;
    use petgraph::graph::DiGraph;
    use petgraph::visit::EdgeRef;
    use proptest::prelude::*;

    use super::super::dense::{HARD, empty_sets};
    use super::super::premature::premature;
    use super::*;
    use crate::budget::Unlimited;

    /// Returns the number of premature builds in our order. Edges lead from a need to what needs it.
    fn doubled_by_our_order(count: usize, edges: &BTreeSet<(usize, usize)>) -> usize {
        let mut before = empty_sets(count);
        for &(need, build) in edges {
            before[HARD][build].insert(need);
        }
        let Ok(dense) = Dense::new(count, before, &Unlimited);
        let Ok(order) = order(&dense, &[], &Unlimited);
        let premature = premature(&dense, &order);
        premature.count_ones(..)
    }

    /// Returns the number of premature builds if petgraph chooses the broken edges.
    fn doubled_by_arcs(edges: &BTreeSet<(usize, usize)>) -> usize {
        let pairs = edges
            .iter()
            .map(|&(need, build)| (need as u32, build as u32));
        let graph: DiGraph<(), ()> = DiGraph::from_edges(pairs);
        let broken = greedy_feedback_arc_set(&graph);
        let builds: BTreeSet<_> = broken.map(|edge| edge.target()).collect();
        builds.len()
    }

    /// Generates a graph: the number of builds, and pairs of a need and what needs it.
    fn graph() -> impl Strategy<Value = (usize, BTreeSet<(usize, usize)>)> {
        let edges = prop::collection::vec((0usize..40, 0usize..40), 0..160);
        (2usize..40, edges).prop_map(|(count, edges)| {
            let edges = edges.into_iter();
            let edges = edges.map(|(need, build)| (need % count, build % count));
            (count, edges.filter(|(need, build)| need != build).collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// Both are heuristics, so either can win on a single graph.
        #[test]
        fn doubles_no_more_builds_of_fifty_graphs_than_a_greedy_feedback_arc_set(
            graphs in prop::collection::vec(graph(), 50),
        ) {
            let ours = graphs.iter().map(|(count, edges)| doubled_by_our_order(*count, edges));
            let theirs = graphs.iter().map(|(_, edges)| doubled_by_arcs(edges));
            let (ours, theirs) = (ours.sum::<usize>(), theirs.sum::<usize>());
            prop_assert!(ours <= theirs, "{ours} builds twice, and {theirs} by arcs");
        }
    }
}
