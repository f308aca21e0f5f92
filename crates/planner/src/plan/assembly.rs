//! The builds ordered so far, and the search for the builds that a build waits for.
//!
//! A build's needs may omit those implied by others. So the search from what a build lists stops at the first member on
//! each path: that member's own needs include everything that its packages pull in at run time. There are two
//! exceptions. Members of a cycle may have been built without some of it, so the solved cycle determines where a path
//! into it leads. And packages outside the set are not built, so the search continues through them.

use std::iter::Copied;
use std::slice;

use fixedbitset::FixedBitSet;
use petgraph::visit::{Dfs, GraphBase, IntoNeighbors};
use rustc_hash::{FxHashMap, FxHashSet};

use super::components::Components;
use super::cycles::SolvedCycle;
use super::drafts::{CycleDraft, Draft};
use super::graph::Graph;
use super::members::OUTSIDE;
use crate::index::{DependencyKind, number};
use crate::sparse::Stamps;

/// The builds so far, in a valid order.
pub(super) struct Assembly<'g, B> {
    pub(super) budget: &'g B,
    pub(super) graph: &'g Graph,
    /// The members for which a bootstrap build is requested.
    pub(super) bootstrap: FixedBitSet,
    /// The components of all vertices: builds, then installs.
    pub(super) components: Components,
    pub(super) drafts: Vec<Draft>,
    /// For each component: the number of drafts before its first one.
    pub(super) starts: Vec<usize>,
    pub(super) cycles: Vec<CycleDraft>,
    /// Relaxed package dependencies: dependency and dependent.
    pub(super) relaxed: Vec<(u32, u32)>,
    /// For each member: its last build.
    pub(super) last: Vec<u32>,
    pub(super) solved: FxHashMap<u32, SolvedCycle>,
    /// For each bootstrapped member: the installs that its first build omits.
    pub(super) omitted: FxHashMap<u32, FxHashSet<u32>>,
    /// The installs at which a search ends.
    ends: FixedBitSet,
    search: Dfs<u32, Stamps>,
    /// The needs of the build that is being added, and the builds that one of its dependencies leads to.
    needs: Vec<(u32, Option<DependencyKind>)>,
    found: Vec<u32>,
}

impl<'g, B> Assembly<'g, B> {
    /// Creates an assembly without builds.
    pub(super) fn new(graph: &'g Graph, bootstrap: FixedBitSet, budget: &'g B) -> Self {
        let builds = graph.builds();
        let components = Components::new(graph);
        Self {
            budget,
            graph,
            bootstrap,
            ends: ends(graph, &components),
            components,
            drafts: Vec::with_capacity(builds),
            starts: Vec::new(),
            cycles: Vec::new(),
            relaxed: Vec::new(),
            last: vec![OUTSIDE; builds],
            solved: FxHashMap::default(),
            omitted: FxHashMap::default(),
            search: Dfs::from_parts(Vec::new(), Stamps::new(graph.vertices())),
            needs: Vec::new(),
            found: Vec::new(),
        }
    }
}

/// Returns the installs at which a search ends. A solved cycle determines what its installs lead to, and a build
/// itself has the needs of its packages.
fn ends(graph: &Graph, components: &Components) -> FixedBitSet {
    let mut ends = FixedBitSet::with_capacity(graph.vertices());
    for (vertex, install) in (number(graph.builds())..).zip(&graph.installs) {
        let ends_at_build = install.covered
            && install.built_by != OUTSIDE
            && !components.is_in_cycle(install.built_by);
        if ends_at_build || components.is_in_cycle(vertex) {
            ends.insert(vertex as usize);
        }
    }
    ends
}

/// The part of the graph that a search visits, as a graph for petgraph.
struct SearchGraph<'a> {
    graph: &'a Graph,
    ends: &'a FixedBitSet,
    /// The member whose own builds do not end the search.
    own: u32,
}

impl GraphBase for SearchGraph<'_> {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl<'a> IntoNeighbors for &'a SearchGraph<'_> {
    type Neighbors = Copied<slice::Iter<'a, u32>>;

    fn neighbors(self, install: u32) -> Self::Neighbors {
        let is_end = self.ends.contains(install as usize)
            && self.graph.install(install).built_by != self.own;
        let pulls: &[u32] = if is_end {
            &[]
        } else {
            self.graph.pulls(install)
        };
        pulls.iter().copied()
    }
}

impl<B> Assembly<'_, B> {
    /// Returns the members of a component, by name.
    pub(super) fn members(&self, component: u32) -> Vec<u32> {
        let mut members = Vec::new();
        self.find_members(component, &mut members);
        members
    }

    /// Replaces a list by the members of a component, by name.
    pub(super) fn find_members(&self, component: u32, members: &mut Vec<u32>) {
        let vertices = self.components.vertices(component).iter();
        members.clear();
        members.extend(vertices.filter(|&&vertex| self.graph.is_build(vertex)));
        members.sort_unstable();
    }

    /// Resets the search, so that it finds builds again that an earlier one found.
    pub(super) fn start_walk(&mut self) {
        let count = self.graph.vertices();
        self.search.discovered.clear(count);
    }

    /// Adds the build of a component with one member.
    pub(super) fn add_simple(&mut self, member: u32) {
        self.start_walk();
        let mut needs = std::mem::take(&mut self.needs);
        let mut found = std::mem::take(&mut self.found);
        let graph = self.graph;
        for edge in graph.needs(member) {
            self.walk(edge.install, member, &mut found);
            needs.extend(found.drain(..).map(|draft| (draft, Some(edge.kind))));
        }
        sort_unique(&mut needs);
        self.last[member as usize] = number(self.drafts.len());
        self.drafts.push(Draft {
            member,
            stage: 1,
            is_last_stage: true,
            is_bootstrap: false,
            needs: needs.as_slice().into(),
        });
        needs.clear();
        (self.needs, self.found) = (needs, found);
    }

    /// Finds the first builds on all paths from an install, except for those of the member `own`.
    pub(super) fn walk(&mut self, install: u32, own: u32, found: &mut Vec<u32>) {
        let passable = SearchGraph {
            graph: self.graph,
            ends: &self.ends,
            own,
        };
        self.search.move_to(install);
        while let Some(install) = self.search.next(&passable) {
            if self.components.is_in_cycle(install) {
                let component = self.components.of(install);
                if let Some(solved) = self.solved.get_mut(&component) {
                    let group = self.components.group_of(install);
                    found.extend_from_slice(solved.builds_of(group));
                }
                continue;
            }
            let member = self.graph.install(install).built_by;
            if member != OUTSIDE && member != own {
                found.push(self.last[member as usize]);
            }
        }
    }
}

/// Sorts needs and removes duplicates, of which the hardest kind is kept.
pub(super) fn sort_unique(needs: &mut Vec<(u32, Option<DependencyKind>)>) {
    needs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    needs.dedup_by_key(|need| need.0);
}
