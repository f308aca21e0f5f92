//! Longest paths in acyclic graphs, in linear time. petgraph has only searches that work with cycles and weights of any
//! sign, which take quadratic time or longer.

use petgraph::visit::{IntoNeighbors, NodeIndexable};

/// Returns for each vertex the length of the longest path that leads to it, itself included. In `order`, every vertex
/// comes before its neighbours.
pub(crate) fn longest_paths<G: IntoNeighbors + NodeIndexable>(
    graph: G,
    order: impl Iterator<Item = G::NodeId>,
    length: impl Fn(G::NodeId) -> u64,
) -> Vec<u64> {
    let mut longest = vec![0u64; graph.node_bound()];
    for vertex in order {
        let at = graph.to_index(vertex);
        let path = longest[at].saturating_add(length(vertex));
        longest[at] = path;
        for next in graph.neighbors(vertex) {
            let longest = &mut longest[graph.to_index(next)];
            *longest = path.max(*longest);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use petgraph::algo::toposort;
    use petgraph::graph::DiGraph;

    use super::*;

    #[test]
    fn adds_lengths_along_longest_path() {
        let graph: DiGraph<(), (), u32> = DiGraph::from_edges([(3, 1), (3, 0), (1, 0), (2, 0)]);
        let order = toposort(&graph, None).unwrap();
        let lengths = [1, 10, 100, 1_000];
        let paths = longest_paths(&graph, order.into_iter(), |vertex| lengths[vertex.index()]);
        assert_eq!(paths, [1_011, 1_010, 100, 1_000]);
    }
}
