//! Directed graphs in compressed sparse rows (CSR), on which petgraph's algorithms run.
//!
//! petgraph's own `Csr` has no incoming edges, which `kosaraju_scc` and `Reversed` need, and its
//! `DiGraph` stores 16 bytes per edge in linked lists, where two sets of rows take 8.

use std::iter::Copied;
use std::ops::Range;
use std::slice;

use buildbtw_model::saturating;
use fixedbitset::FixedBitSet;
use petgraph::Direction;
use petgraph::visit::{
    GraphBase, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, NodeCompactIndexable,
    NodeCount, NodeIndexable, VisitMap, Visitable,
};

/// Converts a position to a number. No list here can have 2^32 entries.
pub(crate) fn number(position: usize) -> u32 {
    saturating(position)
}

/// Lists of different lengths in one allocation.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self {
            starts: vec![0],
            items: Vec::new(),
        }
    }

    /// Ends the current row and begins the next one.
    pub(crate) fn end_row(&mut self) {
        self.starts.push(number(self.items.len()));
    }

    /// Appends an item to the current row.
    pub(crate) fn push(&mut self, item: u32) {
        self.items.push(item);
    }

    /// Returns the positions of a row's items among the items of all rows.
    pub(crate) fn range(&self, row: u32) -> Range<usize> {
        self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize
    }

    pub(crate) fn row(&self, row: u32) -> &[u32] {
        &self.items[self.range(row)]
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Groups values by their keys, which are less than `count` (counting sort).
    fn grouped(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0; count + 1];
        pairs
            .clone()
            .for_each(|(key, _)| starts[key as usize + 1] += 1);
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut next = starts.clone();
        let mut items = vec![0; total as usize];
        pairs.for_each(|(key, value)| {
            let place = &mut next[key as usize];
            items[*place as usize] = value;
            *place += 1;
        });
        Self { starts, items }
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + Clone {
        let rows = 0..number(self.len());
        rows.flat_map(|row| self.row(row).iter().map(move |&item| (row, item)))
    }
}

/// A directed graph whose vertices are numbered from 0.
#[derive(Clone, Debug)]
pub(crate) struct SparseGraph {
    outgoing: Rows,
    incoming: Rows,
}

impl SparseGraph {
    /// Creates a graph from the successors of each vertex, one row per vertex.
    pub(crate) fn new(outgoing: Rows) -> Self {
        let reversed = outgoing.pairs().map(|(from, to)| (to, from));
        let incoming = Rows::grouped(outgoing.len(), reversed);
        Self { outgoing, incoming }
    }

    /// Creates a graph with `count` vertices from its edges.
    pub(crate) fn from_edges(count: usize, edges: &[(u32, u32)]) -> Self {
        Self::new(Rows::grouped(count, edges.iter().copied()))
    }

    /// Returns the successors of each vertex.
    pub(crate) fn outgoing(&self) -> &Rows {
        &self.outgoing
    }
}

impl GraphBase for SparseGraph {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl<'a> IntoNeighbors for &'a SparseGraph {
    type Neighbors = Copied<slice::Iter<'a, u32>>;

    fn neighbors(self, vertex: u32) -> Self::Neighbors {
        self.outgoing.row(vertex).iter().copied()
    }
}

impl<'a> IntoNeighborsDirected for &'a SparseGraph {
    type NeighborsDirected = Copied<slice::Iter<'a, u32>>;

    fn neighbors_directed(self, vertex: u32, direction: Direction) -> Self::NeighborsDirected {
        let rows = match direction {
            Direction::Outgoing => &self.outgoing,
            Direction::Incoming => &self.incoming,
        };
        rows.row(vertex).iter().copied()
    }
}

impl IntoNodeIdentifiers for &SparseGraph {
    type NodeIdentifiers = Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        0..number(self.outgoing.len())
    }
}

impl NodeCount for SparseGraph {
    fn node_count(&self) -> usize {
        self.outgoing.len()
    }
}

impl NodeIndexable for SparseGraph {
    fn node_bound(&self) -> usize {
        self.outgoing.len()
    }

    fn to_index(&self, vertex: u32) -> usize {
        vertex as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        number(index)
    }
}

impl NodeCompactIndexable for SparseGraph {}

impl Visitable for SparseGraph {
    type Map = FixedBitSet;

    fn visit_map(&self) -> FixedBitSet {
        FixedBitSet::with_capacity(self.outgoing.len())
    }

    fn reset_map(&self, map: &mut FixedBitSet) {
        map.clear();
        map.grow(self.outgoing.len());
    }
}

/// A visit map for many short searches in one graph. A mark is the number of the search that set it, so that clearing
/// the map takes constant time.
#[derive(Clone, Debug)]
pub(crate) struct Stamps {
    stamps: Vec<u32>,
    now: u32,
}

impl Stamps {
    /// Creates a map for `count` vertices.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            stamps: vec![0; count],
            now: 1,
        }
    }

    /// Marks all vertices as unvisited, and grows the map to at least `count` vertices.
    pub(crate) fn clear(&mut self, count: usize) {
        self.now += 1;
        if self.stamps.len() < count {
            self.stamps.resize(count, 0);
        }
    }
}

impl VisitMap<u32> for Stamps {
    fn visit(&mut self, vertex: u32) -> bool {
        std::mem::replace(&mut self.stamps[vertex as usize], self.now) != self.now
    }

    fn is_visited(&self, vertex: &u32) -> bool {
        self.stamps[*vertex as usize] == self.now
    }

    fn unvisit(&mut self, vertex: u32) -> bool {
        std::mem::replace(&mut self.stamps[vertex as usize], 0) == self.now
    }
}

#[cfg(test)]
mod tests {
    use petgraph::algo::{kosaraju_scc, toposort};
    use petgraph::graph::DiGraph;
    use petgraph::visit::{Dfs, Reversed};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_edges_in_both_directions() {
        let graph = SparseGraph::from_edges(4, &[(2, 0), (0, 1), (2, 1), (0, 1)]);
        assert_eq!(graph.outgoing().row(0), [1, 1]);
        assert_eq!(graph.outgoing().row(2), [0, 1]);
        let needed_by = |vertex| graph.neighbors_directed(vertex, Direction::Incoming);
        assert_eq!(needed_by(1).collect::<Vec<_>>(), [0, 0, 2]);
        assert!(graph.neighbors(3).next().is_none() && needed_by(3).next().is_none());
        let (nodes, bound) = (graph.node_count(), graph.node_bound());
        assert_eq!((nodes, bound), (4, 4));
    }

    #[test]
    fn handles_chain_of_200_000_vertices() {
        let edges: Vec<_> = (0..200_000).map(|vertex| (vertex, vertex + 1)).collect();
        let graph = SparseGraph::from_edges(200_001, &edges);
        let found = kosaraju_scc(&graph);
        assert_eq!(found.len(), 200_001);
        assert_eq!(found[0], [200_000]);
        assert_eq!(toposort(&graph, None).unwrap()[0], 0);
    }

    #[test]
    fn clears_and_grows_stamps() {
        let mut stamps = Stamps::new(1);
        assert!(stamps.visit(0) && !stamps.visit(0) && stamps.is_visited(&0));
        assert!(stamps.unvisit(0) && !stamps.is_visited(&0) && stamps.visit(0));
        stamps.clear(2);
        assert!(!stamps.is_visited(&0) && stamps.visit(0) && stamps.visit(1));
    }

    proptest! {
        #[test]
        fn agrees_with_petgraph_digraph(
            edges in prop::collection::vec((0u32..20, 0u32..20), 0..60),
            start in 0u32..20,
        ) {
            let ours = SparseGraph::from_edges(20, &edges);
            let mut theirs: DiGraph<(), (), u32> = DiGraph::default();
            (0..20).for_each(|_| { theirs.add_node(()); });
            theirs.extend_with_edges(&edges);

            let sorted = |mut list: Vec<u32>| {
                list.sort_unstable();
                list
            };
            let mut found: Vec<Vec<u32>> = kosaraju_scc(&ours).into_iter().map(sorted).collect();
            for (at, component) in found.iter().enumerate() {
                for &(from, to) in &edges {
                    let is_later = found[at + 1..].iter().any(|later| later.contains(&to));
                    // A component needs only earlier ones.
                    prop_assert!(!component.contains(&from) || !is_later);
                }
            }
            let expected = kosaraju_scc(&theirs).into_iter();
            let expected = expected.map(|list| list.into_iter().map(|v| v.index() as u32).collect());
            let mut expected: Vec<Vec<u32>> = expected.map(sorted).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);

            prop_assert_eq!(toposort(&ours, None).is_ok(), toposort(&theirs, None).is_ok());
            let mut dfs = Dfs::new(Reversed(&ours), start);
            let mut their_dfs = Dfs::new(Reversed(&theirs), start.into());
            let mut reaching = Vec::new();
            while let Some(vertex) = dfs.next(Reversed(&ours)) {
                reaching.push(vertex);
            }
            let mut expected = Vec::new();
            while let Some(vertex) = their_dfs.next(Reversed(&theirs)) {
                expected.push(vertex.index() as u32);
            }
            prop_assert_eq!(sorted(reaching), sorted(expected));
        }
    }
}
