//! The second candidate for the order of parts: what remains of their graph without a *feedback arc set*.
//!
//! petgraph's heuristic chooses few edges. That they end at few builds is luck, but sometimes fewer builds than
//! `feedback` chooses: about one random graph in forty. It knows one kind of edge, so it can only be used where no part
//! has a need in another one that must not be broken.

use fixedbitset::FixedBitSet;
use petgraph::algo::{greedy_feedback_arc_set, toposort};
use petgraph::graph::DiGraph;
use petgraph::visit::{EdgeFiltered, EdgeRef};

use super::parts::PartGraph;

/// The largest number of edges for which it is tried. It takes about 50 bytes per edge and cannot be interrupted.
const MAX_EDGES: usize = 250_000;

/// Returns the parts in a topological order of their graph without a feedback arc set; `None` if the graph has too many
/// edges.
pub(super) fn order(parts: &PartGraph<'_>) -> Option<Vec<usize>> {
    let mut edges = Vec::new();
    for need in parts.builds.ones() {
        let (part, after) = (parts.part_of(need), &parts.dense.after);
        let users = parts.others(&parts.builds, after, need, parts.weak.clone());
        edges.extend(users.map(|user| (part, user)));
        if edges.len() > MAX_EDGES {
            return None;
        }
    }
    // A copy: `greedy_feedback_arc_set` accepts only graphs with petgraph's own node indices.
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(parts.parts.len(), edges.len());
    let nodes: Vec<_> = parts.parts.iter().map(|_| graph.add_node(())).collect();
    for (need, user) in edges {
        graph.add_edge(nodes[need], nodes[user], ());
    }
    let mut broken = FixedBitSet::with_capacity(graph.edge_count());
    broken.extend(greedy_feedback_arc_set(&graph).map(|edge| edge.id().index()));
    let is_kept =
        |edge: petgraph::graph::EdgeReference<'_, ()>| !broken.contains(edge.id().index());
    let order = toposort(&EdgeFiltered::from_fn(&graph, is_kept), None).ok()?;
    Some(order.into_iter().map(|node| node.index()).collect())
}
