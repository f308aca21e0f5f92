//! Strongly connected components, without recursion: a chain of a hundred thousand packages must
//! not overflow the stack.

use crate::index::number;

const UNSEEN: u32 = u32::MAX;

/// The components of a graph, those without dependencies on others first.
pub(super) struct Components {
    /// For each vertex: its component.
    pub(super) of: Vec<u32>,
    starts: Vec<u32>,
    vertices: Vec<u32>,
}

impl Components {
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn vertices(&self, component: usize) -> &[u32] {
        let start = self.starts[component] as usize;
        let end = self.starts[component + 1] as usize;
        &self.vertices[start..end]
    }
}

/// Finds the components of the vertices below `count`; `successor(v, i)` is the i-th vertex that v
/// depends on. (Tarjan's algorithm with a stack of its own.)
pub(super) fn components(
    count: usize,
    mut successor: impl FnMut(u32, u32) -> Option<u32>,
) -> Components {
    let mut found = Components {
        of: vec![UNSEEN; count],
        starts: vec![0],
        vertices: Vec::with_capacity(count),
    };
    let mut order = vec![UNSEEN; count];
    let mut low = vec![0u32; count];
    let mut open: Vec<u32> = Vec::new();
    let mut calls: Vec<(u32, u32)> = Vec::new();
    let mut next_order = 0;
    for root in 0..number(count) {
        if order[root as usize] != UNSEEN {
            continue;
        }
        calls.push((root, 0));
        while let Some((vertex, edge)) = calls.pop() {
            let at = vertex as usize;
            if edge == 0 {
                order[at] = next_order;
                low[at] = next_order;
                next_order += 1;
                open.push(vertex);
            }
            if let Some(target) = successor(vertex, edge) {
                calls.push((vertex, edge + 1));
                let target_at = target as usize;
                if order[target_at] == UNSEEN {
                    calls.push((target, 0));
                } else if found.of[target_at] == UNSEEN {
                    low[at] = low[at].min(order[target_at]);
                }
                continue;
            }
            if low[at] == order[at] {
                let component = number(found.len());
                while let Some(member) = open.pop() {
                    found.of[member as usize] = component;
                    found.vertices.push(member);
                    if member == vertex {
                        break;
                    }
                }
                found.starts.push(number(found.vertices.len()));
            }
            if let Some(&(parent, _)) = calls.last() {
                low[parent as usize] = low[parent as usize].min(low[at]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use petgraph::graph::{DiGraph, NodeIndex};
    use proptest::prelude::*;

    use super::*;

    fn of_edges(count: u32, edges: &[(u32, u32)]) -> Components {
        let mut rows = vec![Vec::new(); count as usize];
        for &(from, to) in edges {
            rows[from as usize].push(to);
        }
        components(count as usize, |vertex, edge| {
            rows[vertex as usize].get(edge as usize).copied()
        })
    }

    #[test]
    fn handles_very_long_chain() {
        let edges: Vec<_> = (0..200_000).map(|v| (v, v + 1)).collect();
        let found = of_edges(200_001, &edges);
        assert_eq!(found.len(), 200_001);
        assert_eq!(found.vertices(0), [200_000]);
    }

    proptest! {
        #[test]
        fn agrees_with_petgraph(edges in prop::collection::vec((0u32..20, 0u32..20), 0..60)) {
            let found = of_edges(20, &edges);
            let mut ours: Vec<Vec<u32>> =
                (0..found.len()).map(|c| found.vertices(c).to_vec()).collect();
            let mut graph: DiGraph<(), ()> = DiGraph::new();
            for _ in 0..20 {
                graph.add_node(());
            }
            for &(a, b) in &edges {
                graph.add_edge(NodeIndex::new(a as usize), NodeIndex::new(b as usize), ());
                // A component depends only on earlier ones.
                prop_assert!(found.of[a as usize] >= found.of[b as usize]);
            }
            let mut theirs: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
                .into_iter()
                .map(|c| c.into_iter().map(|v| v.index() as u32).collect())
                .collect();
            for list in ours.iter_mut().chain(&mut theirs) {
                list.sort_unstable();
            }
            ours.sort();
            theirs.sort();
            prop_assert_eq!(ours, theirs);
        }
    }
}
