//! From the graph to builds: components in order, each build with the builds it waits for.
//!
//! A build's needs may leave out what follows from others. Walking from what it lists, the search
//! stops at the first member on each path: that member's own needs hold everything its packages
//! pull in at run time. There are two exceptions. Members of a cycle may have been built without
//! some of it, so what a path into a cycle leads to is worked out by the cycle. And packages
//! outside of the set are not built, so the search goes on through them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::budget::Budget;
use super::components::{Components, components};
use super::cycles::{self, Cyclic};
use super::graph::Graph;
use super::members::OUTSIDE;
use crate::index::{DependencyKind, number};

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
    /// Package dependencies that gave way: dependency and dependent.
    pub(super) relaxed: Vec<(u32, u32)>,
    /// For each member: its last build.
    pub(super) last: Vec<u32>,
    pub(super) cyclic: FxHashMap<u32, Cyclic>,
    /// For each member that is bootstrapped: the installs that its first build does without.
    pub(super) left_out: FxHashMap<u32, FxHashSet<u32>>,
    /// For each install: when it was last seen.
    seen: Vec<u32>,
    now: u32,
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
    let builds = graph.needs.len();
    let vertices = builds + graph.built_by.len();
    let components = components(vertices, |vertex, edge| successor(graph, vertex, edge));
    let mut assembly = Assembly {
        budget,
        graph,
        bootstrap,
        components,
        drafts: Vec::with_capacity(builds),
        starts: Vec::new(),
        cycles: Vec::new(),
        relaxed: Vec::new(),
        last: vec![OUTSIDE; builds],
        cyclic: FxHashMap::default(),
        left_out: FxHashMap::default(),
        seen: vec![0; graph.built_by.len()],
        now: 0,
    };
    for component in 0..assembly.components.len() {
        budget.check()?;
        assembly.starts.push(assembly.drafts.len());
        let members = assembly.members(number(component));
        match *members.as_slice() {
            [] => {}
            [member] => assembly.add_simple(member),
            _ => cycles::add(&mut assembly, number(component), &members)?,
        }
    }
    Ok(assembly)
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

fn successor(graph: &Graph, vertex: u32, edge: u32) -> Option<u32> {
    let builds = number(graph.needs.len());
    if vertex < builds {
        let edge = graph.needs.row(vertex).get(edge as usize)?;
        return Some(builds + edge.install);
    }
    let install = vertex - builds;
    let pulls = graph.pulls.row(install);
    match pulls.get(edge as usize) {
        Some(install) => Some(builds + install),
        None if edge as usize == pulls.len() => {
            let member = graph.built_by[install as usize];
            (member != OUTSIDE).then_some(member)
        }
        None => None,
    }
}

impl<B> Assembly<'_, B> {
    pub(super) fn component_of_install(&self, install: u32) -> u32 {
        self.components.of[self.graph.needs.len() + install as usize]
    }

    pub(super) fn component_of_build(&self, member: u32) -> u32 {
        self.components.of[member as usize]
    }

    /// The members of a component, by name.
    pub(super) fn members(&self, component: u32) -> Vec<u32> {
        let vertices = self.components.vertices(component as usize).iter();
        let is_build = |&vertex: &u32| (vertex as usize) < self.graph.needs.len();
        let mut members: Vec<u32> = vertices.copied().filter(is_build).collect();
        members.sort_unstable();
        members
    }

    /// Whether a member is in a cycle with others.
    pub(super) fn is_in_cycle(&self, member: u32) -> bool {
        self.cyclic.contains_key(&self.component_of_build(member))
    }

    /// Forgets which installs were seen.
    pub(super) fn start_walk(&mut self) {
        self.now += 1;
    }

    fn add_simple(&mut self, member: u32) {
        self.start_walk();
        let mut needs = Vec::new();
        let mut found = Vec::new();
        let graph = self.graph;
        for edge in graph.needs.row(member) {
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
        let mut stack = vec![install];
        while let Some(install) = stack.pop() {
            let at = install as usize;
            if std::mem::replace(&mut self.seen[at], self.now) == self.now {
                continue;
            }
            let component = self.component_of_install(install);
            if let Some(cyclic) = self.cyclic.get_mut(&component) {
                found.extend_from_slice(cyclic.builds_behind(install));
                continue;
            }
            let member = self.graph.built_by[at];
            if member != OUTSIDE && member != own {
                found.push(self.last[member as usize]);
                let in_cycle = self.cyclic.contains_key(&self.component_of_build(member));
                if self.graph.covered[at] && !in_cycle {
                    continue;
                }
            }
            stack.extend_from_slice(self.graph.pulls.row(install));
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
