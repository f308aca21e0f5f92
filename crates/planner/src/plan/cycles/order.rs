//! An order of the builds in a component with few premature builds.
//!
//! The softest kind of dependency must be broken first, so the component is split one kind at a time: without the
//! softest kind it falls apart into smaller components, which `feedback` orders. Each of these is then split by the
//! next kind. Finally, premature builds are postponed if that makes no other build premature.
//!
//! Where `arcs` finds an order with fewer premature builds for some of these components, the whole order is also
//! computed with those, and the cheaper one is taken.

use fixedbitset::FixedBitSet;
use petgraph::algo::kosaraju_scc;

use super::arcs;
use super::dense::{Dense, KINDS};
use super::feedback::GreedyOrder;
use super::parts::PartGraph;
use super::premature::{OrderCost, postpone};
use crate::budget::Budget;

/// The parts of a component: builds that need each other, each part sorted, in the order of their first builds.
pub(super) type Parts = Vec<Vec<usize>>;

/// Orders all builds of a component; `cycles` are its parts with the needs of environments.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn order<B: Budget>(
    dense: &Dense,
    cycles: &[Vec<usize>],
    origins: &[usize],
    budget: &B,
) -> Result<Vec<usize>, B::Over> {
    let mut is_origin = FixedBitSet::with_capacity(dense.count);
    is_origin.extend(origins.iter().copied());
    let (order, has_fewer_by_arcs) = arrange(dense, cycles, &is_origin, false, budget)?;
    if !has_fewer_by_arcs {
        return Ok(order);
    }
    let (by_arcs, _) = arrange(dense, cycles, &is_origin, true, budget)?;
    let cost = |order: &[usize]| OrderCost::count(dense, order, &is_origin);
    Ok(match cost(&by_arcs).is_less_than(&cost(&order)) {
        true => by_arcs,
        false => order,
    })
}

/// Orders all builds, and returns whether `arcs` would make fewer builds of a part premature, before any is postponed.
fn arrange<B: Budget>(
    dense: &Dense,
    cycles: &[Vec<usize>],
    is_origin: &FixedBitSet,
    takes_arcs: bool,
    budget: &B,
) -> Result<(Vec<usize>, bool), B::Over> {
    let mut arrange = Arrange {
        dense,
        budget,
        is_origin,
        takes_arcs,
        has_fewer_by_arcs: false,
        premature: FixedBitSet::with_capacity(dense.count),
        order: Vec::with_capacity(dense.count),
    };
    arrange.place(cycles.to_vec(), 0)?;
    let mut order = arrange.order;
    // Postponing one build often allows it for another; after a few rounds hardly anything changes.
    for _ in 0..3 {
        if !postpone(dense, &mut order, budget)? {
            break;
        }
    }
    Ok((order, arrange.has_fewer_by_arcs))
}

struct Arrange<'a, B> {
    dense: &'a Dense,
    budget: &'a B,
    /// The origins among the builds.
    is_origin: &'a FixedBitSet,
    /// Whether the order by arcs is taken where it makes fewer builds premature.
    takes_arcs: bool,
    /// Whether there is such a place.
    has_fewer_by_arcs: bool,
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
        self.place(parts, tier)
    }

    /// Appends the parts of such a component without the needs of kind `tier`.
    fn place(&mut self, mut parts: Parts, tier: usize) -> Result<(), B::Over> {
        let order = match parts.len() {
            1 => vec![0],
            _ => self.order_parts(&parts, tier)?,
        };
        for part in order {
            self.component(std::mem::take(&mut parts[part]), tier + 1)?;
        }
        Ok(())
    }

    /// Orders the parts of a component, and records the builds that become premature.
    fn order_parts(&mut self, parts: &[Vec<usize>], tier: usize) -> Result<Vec<usize>, B::Over> {
        let graph = PartGraph::new(self.dense, parts, tier);
        let greedy = GreedyOrder::new(&graph, self.is_origin, self.budget)?;
        let is_free = greedy.allows_every_order();
        let mut order = greedy.run(&self.premature, self.budget)?;
        let mut premature = graph.premature(&order);
        let newly = |premature: &FixedBitSet| premature.difference_count(&self.premature);
        // A cycle has at least one premature build.
        if is_free
            && newly(&premature) > 1
            && let Some(by_arcs) = arcs::order(&graph)
        {
            let other = graph.premature(&by_arcs);
            if newly(&other) < newly(&premature) {
                self.has_fewer_by_arcs = true;
                if self.takes_arcs {
                    (order, premature) = (by_arcs, other);
                }
            }
        }
        self.premature.union_with(&premature);
        Ok(order)
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
) -> Result<Parts, B::Over> {
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

    /// Pairs of a need and what needs it.
    type Edges = BTreeSet<(usize, usize)>;

    /// Returns the number of premature builds in our order.
    fn doubled_by_our_order(count: usize, edges: &Edges) -> usize {
        let mut before = empty_sets(count);
        for &(need, build) in edges {
            before[HARD][build].insert(need);
        }
        let Ok(dense) = Dense::new(count, before, &Unlimited);
        let all: Vec<usize> = (0..count).collect();
        let Ok(cycles) = parts(&dense, &all, HARD, &Unlimited);
        let Ok(order) = order(&dense, &cycles, &[], &Unlimited);
        premature(&dense, &order).count_ones(..)
    }

    fn digraph(edges: &Edges) -> DiGraph<(), ()> {
        let edges = edges.iter();
        DiGraph::from_edges(edges.map(|&(need, build)| (need as u32, build as u32)))
    }

    /// Returns the number of premature builds if petgraph chooses the broken edges.
    fn doubled_by_arcs(edges: &Edges) -> usize {
        let graph = digraph(edges);
        let broken = greedy_feedback_arc_set(&graph);
        let builds: BTreeSet<_> = broken.map(|edge| edge.target()).collect();
        builds.len()
    }

    /// Returns the cycles of a graph: for each strongly connected component with several builds, their number and the
    /// edges between them.
    fn cycles(edges: &Edges) -> Vec<(usize, Edges)> {
        let components = kosaraju_scc(&digraph(edges)).into_iter();
        let components = components.filter(|component| component.len() > 1);
        components
            .map(|component| {
                let mut builds: Vec<_> = component.iter().map(|build| build.index()).collect();
                builds.sort_unstable();
                let at = |build: usize| builds.binary_search(&build).ok();
                let inside = edges.iter();
                let inside = inside.filter_map(|&(need, build)| Some((at(need)?, at(build)?)));
                (builds.len(), inside.collect())
            })
            .collect()
    }

    /// Generates a graph: the number of builds, and the edges.
    fn graph() -> impl Strategy<Value = (usize, Edges)> {
        let edges = prop::collection::vec((0usize..40, 0usize..40), 0..160);
        (2usize..40, edges).prop_map(|(count, edges)| {
            let edges = edges.into_iter();
            let edges = edges.map(|(need, build)| (need % count, build % count));
            (count, edges.filter(|(need, build)| need != build).collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn doubles_no_more_builds_of_any_cycle_than_a_greedy_feedback_arc_set(
            (count, edges) in graph(),
        ) {
            let mut theirs_of_all = 0;
            for (count, edges) in cycles(&edges) {
                let (ours, theirs) = (doubled_by_our_order(count, &edges), doubled_by_arcs(&edges));
                prop_assert!(ours <= theirs, "{ours} builds twice, and {theirs} by arcs");
                theirs_of_all += theirs;
            }
            prop_assert!(doubled_by_our_order(count, &edges) <= theirs_of_all);
        }
    }
}
