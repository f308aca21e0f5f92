//! From the graph to builds: components in order, each build with the builds it waits for.
//!
//! A build's needs may leave out what follows from others. Walking from what it lists, the search
//! stops at the first member on each path: that member's own needs hold everything its packages
//! pull in at run time. There are two exceptions. Members of a cycle may have been built without
//! some of it, so what a path into a cycle leads to is worked out by the cycle. And packages
//! outside of the set are not built, so the search goes on through them.

use std::iter::Copied;
use std::slice;

use fixedbitset::FixedBitSet;
use petgraph::visit::{Dfs, GraphBase, GraphRef, IntoNeighbors};
use rustc_hash::{FxHashMap, FxHashSet};

use super::budget::Budget;
use super::components::Components;
use super::cycles::{self, Cyclic};
use super::graph::Graph;
use super::members::OUTSIDE;
use crate::index::{DependencyKind, number};
use crate::sparse::Stamps;

/// A build, not yet in its final place.
pub(super) struct Draft {
    pub(super) member: u32,
    pub(super) stage: u32,
    pub(super) is_last_stage: bool,
    /// Whether it is built without what it needs of its cycle.
    pub(super) is_bootstrap: bool,
    /// Drafts that come before this one; nothing as kind for the same package's earlier stage.
    pub(super) needs: Vec<(u32, Option<DependencyKind>)>,
}

/// Drafts as a graph for petgraph: an edge leads from a draft to each that comes before it.
#[derive(Clone, Copy)]
pub(super) struct DraftGraph<'d>(pub(super) &'d [Draft]);

/// The drafts that a draft needs.
pub(super) struct DraftNeeds<'d>(slice::Iter<'d, (u32, Option<DependencyKind>)>);

impl Iterator for DraftNeeds<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next().map(|&(draft, _)| draft)
    }
}

impl GraphBase for DraftGraph<'_> {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl GraphRef for DraftGraph<'_> {}

impl<'d> IntoNeighbors for DraftGraph<'d> {
    type Neighbors = DraftNeeds<'d>;

    fn neighbors(self, draft: u32) -> DraftNeeds<'d> {
        DraftNeeds(self.0[draft as usize].needs.iter())
    }
}

/// A cycle, in members.
pub(super) struct CycleDraft {
    pub(super) members: Vec<u32>,
    /// What was built without: dependency, dependent, kind.
    pub(super) broken: Vec<(u32, u32, DependencyKind)>,
}

/// The builds in a valid order.
pub(super) struct Assembly<'g, B> {
    pub(super) budget: &'g B,
    pub(super) graph: &'g Graph,
    /// For each build: whether it is to be bootstrapped.
    pub(super) bootstrap: Vec<bool>,
    /// Of builds, then of installs.
    pub(super) components: Components,
    pub(super) drafts: Vec<Draft>,
    /// For each component: how many drafts come before its own.
    pub(super) starts: Vec<usize>,
    pub(super) cycles: Vec<CycleDraft>,
    /// Package dependencies that were relaxed: dependency and dependent.
    pub(super) relaxed: Vec<(u32, u32)>,
    /// For each member: its last build.
    pub(super) last: Vec<u32>,
    pub(super) cyclic: FxHashMap<u32, Cyclic>,
    /// For each member that is bootstrapped: the installs that its first build does without.
    pub(super) left_out: FxHashMap<u32, FxHashSet<u32>>,
    /// The installs at which a walk ends.
    ends: FixedBitSet,
    search: Dfs<u32, Stamps>,
}

/// Puts all builds in order.
///
/// # Errors
/// When the budget is used up.
pub(super) fn assemble<'g, B: Budget>(
    graph: &'g Graph,
    bootstrap: Vec<bool>,
    budget: &'g B,
) -> Result<Assembly<'g, B>, B::Over> {
    let builds = graph.builds();
    let components = Components::new(graph);
    let mut assembly = Assembly {
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
        cyclic: FxHashMap::default(),
        left_out: FxHashMap::default(),
        search: Dfs::from_parts(Vec::new(), Stamps::new(graph.vertices())),
    };
    for component in 0..number(assembly.components.len()) {
        budget.check()?;
        assembly.starts.push(assembly.drafts.len());
        let members = assembly.members(component);
        match *members.as_slice() {
            [] => {}
            [member] => assembly.add_simple(member),
            _ => cycles::add(&mut assembly, component, &members)?,
        }
    }
    Ok(assembly)
}

/// The installs at which a walk ends: cycles know what lies behind them, and a build has the needs of
/// its packages itself.
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

/// The part of the graph that a walk goes through, for petgraph's search.
struct Passable<'a> {
    graph: &'a Graph,
    ends: &'a FixedBitSet,
    /// The member whose own builds do not end a walk.
    own: u32,
}

impl GraphBase for Passable<'_> {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl<'a> IntoNeighbors for &'a Passable<'_> {
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

impl<B: Budget> Assembly<'_, B> {
    /// Puts the builds of a cycle in order again, for other bootstrap builds than before. The builds of all
    /// components behind it are lost.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn again(&mut self, component: u32) -> Result<(), B::Over> {
        let members = self.members(component);
        self.drafts.truncate(self.starts[component as usize]);
        self.cyclic.remove(&component);
        for member in &members {
            self.left_out.remove(member);
        }
        cycles::add(self, component, &members)
    }
}

impl<B> Assembly<'_, B> {
    /// The members of a component, by name.
    pub(super) fn members(&self, component: u32) -> Vec<u32> {
        let vertices = self.components.vertices(component).iter();
        let builds = vertices.filter(|&&vertex| self.graph.is_build(vertex));
        let mut members: Vec<u32> = builds.copied().collect();
        members.sort_unstable();
        members
    }

    /// Lets the next walks find again what earlier ones found.
    pub(super) fn start_walk(&mut self) {
        let count = self.graph.vertices();
        self.search.discovered.clear(count);
    }

    fn add_simple(&mut self, member: u32) {
        self.start_walk();
        let mut needs = Vec::new();
        let mut found = Vec::new();
        let graph = self.graph;
        for edge in graph.needs(member) {
            self.walk(edge.install, member, &mut found);
            needs.extend(found.drain(..).map(|draft| (draft, Some(edge.kind))));
        }
        self.last[member as usize] = number(self.drafts.len());
        self.drafts.push(Draft {
            member,
            stage: 1,
            is_last_stage: true,
            is_bootstrap: false,
            needs: unique(needs),
        });
    }

    /// Finds the first builds on all paths from an install, except for those of one member itself.
    pub(super) fn walk(&mut self, install: u32, own: u32, found: &mut Vec<u32>) {
        let passable = Passable {
            graph: self.graph,
            ends: &self.ends,
            own,
        };
        self.search.move_to(install);
        while let Some(install) = self.search.next(&passable) {
            if self.components.is_in_cycle(install) {
                let component = self.components.of(install);
                if let Some(cyclic) = self.cyclic.get_mut(&component) {
                    let group = self.components.group_of(install);
                    found.extend_from_slice(cyclic.builds_behind(group));
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

/// Each need once, with its hardest kind.
pub(super) fn unique(
    mut needs: Vec<(u32, Option<DependencyKind>)>,
) -> Vec<(u32, Option<DependencyKind>)> {
    needs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    needs.dedup_by_key(|need| need.0);
    needs
}
