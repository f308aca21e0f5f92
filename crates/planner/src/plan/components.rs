//! The strongly connected components of the graph, and which of them are cycles of several builds.
//!
//! They are found by Kosaraju's algorithm, which petgraph implements without recursion. Its implementation of Tarjan's
//! algorithm is recursive, and a chain of a hundred thousand packages overflows the stack.

use fixedbitset::FixedBitSet;
use petgraph::algo::kosaraju_scc;
use petgraph::visit::NodeFiltered;
use rustc_hash::FxHashMap;

use super::graph::Graph;
use crate::index::number;

/// The components of a graph, dependencies first.
pub(super) struct Components {
    /// For each component: its vertices.
    vertices: Vec<Vec<u32>>,
    /// For each vertex: its component.
    component_of: Vec<u32>,
    /// The vertices in components with several builds.
    in_cycle: FixedBitSet,
    /// For each component with several builds: its installs in groups. Installs that pull in each other form a group,
    /// and a group comes after those that it pulls in.
    groups: FxHashMap<u32, Vec<Vec<u32>>>,
    /// For each install in a cycle: its group within its component.
    group_of: Vec<u32>,
}

impl Components {
    /// Finds the components of a graph.
    pub(super) fn new(graph: &Graph) -> Self {
        let vertices = kosaraju_scc(&graph.edges);
        let count = graph.vertices();
        let mut component_of = vec![0; count];
        let mut in_cycle = FixedBitSet::with_capacity(count);
        for (component, vertices) in (0..).zip(&vertices) {
            for &vertex in vertices {
                component_of[vertex as usize] = component;
            }
            let builds = vertices.iter().filter(|&&vertex| graph.is_build(vertex));
            if vertices.len() > 1 && builds.count() > 1 {
                in_cycle.extend(vertices.iter().map(|&vertex| vertex as usize));
            }
        }
        let mut components = Self {
            vertices,
            component_of,
            in_cycle,
            groups: FxHashMap::default(),
            group_of: Vec::new(),
        };
        if !components.in_cycle.is_clear() {
            components.group_installs(graph);
        }
        components
    }

    /// Finds the groups of all cycles in one search. Installs of different components never reach each other in both
    /// directions, so that each group is part of one component.
    fn group_installs(&mut self, graph: &Graph) {
        let mut installs = self.in_cycle.clone();
        installs.remove_range(..graph.builds());
        self.group_of = vec![0; self.component_of.len()];
        for group in kosaraju_scc(&NodeFiltered(&graph.edges, installs)) {
            let Some(&first) = group.first() else {
                continue;
            };
            let component = self.of(first);
            let groups = self.groups.entry(component).or_default();
            for &install in &group {
                self.group_of[install as usize] = number(groups.len());
            }
            groups.push(group);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Returns the vertices of a component.
    pub(super) fn vertices(&self, component: u32) -> &[u32] {
        &self.vertices[component as usize]
    }

    /// Returns the component of a vertex.
    pub(super) fn of(&self, vertex: u32) -> u32 {
        self.component_of[vertex as usize]
    }

    /// Returns whether the component of a vertex has several builds.
    pub(super) fn is_in_cycle(&self, vertex: u32) -> bool {
        self.in_cycle.contains(vertex as usize)
    }

    /// Returns the groups of installs in a component with several builds.
    pub(super) fn groups(&self, component: u32) -> &[Vec<u32>] {
        let groups = self.groups.get(&component);
        groups.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the group of an install in a cycle, within its component.
    pub(super) fn group_of(&self, install: u32) -> usize {
        self.group_of[install as usize] as usize
    }
}
