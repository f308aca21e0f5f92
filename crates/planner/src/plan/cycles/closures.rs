//! What lies behind each install of a component: members closures of it, and builds lower it.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use super::sequence::Sequence;
use super::solved::{LowerBuilds, SolvedCycle};
use crate::index::DependencyKind;
use crate::plan::assembly::Assembly;
use crate::plan::budget::Budget;
use crate::plan::components::Components;
use crate::plan::members::OUTSIDE;

/// The installs of a component that is being solved.
pub(super) struct Closures {
    component: u32,
    /// For each group of installs: the members of the component that it pulls in.
    members: Vec<FixedBitSet>,
    lower: LowerBuilds,
}

impl Closures {
    /// Finds what each group pulls in: first its own installs, then through the groups before it.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn new<B: Budget>(
        assembly: &mut Assembly<'_, B>,
        component: u32,
        members: &[u32],
    ) -> Result<Self, B::Over> {
        let graph = assembly.graph;
        let place_of: FxHashMap<u32, usize> = members.iter().copied().zip(0..).collect();
        let count = assembly.components.groups(component).len();
        let mut closures = Self {
            component,
            members: vec![FixedBitSet::with_capacity(members.len()); count],
            lower: LowerBuilds::new(assembly, component)?,
        };
        let components = &assembly.components;
        for (group, installs) in components.groups(component).iter().enumerate() {
            assembly.budget.check()?;
            for &install in installs {
                if let Some(&place) = place_of.get(&graph.install(install).built_by) {
                    closures.members[group].insert(place);
                }
                let pulls = graph.pulls(install).iter().copied();
                for pulled in pulls.filter(|&pulled| components.of(pulled) == component) {
                    let from = components.group_of(pulled);
                    merge(&mut closures.members, from, group);
                    merge(&mut closures.lower.all, from, group);
                    merge(&mut closures.lower.uncovered, from, group);
                }
            }
        }
        Ok(closures)
    }

    /// The members of the component that an install of it pulls in.
    pub(super) fn members_of(&self, components: &Components, install: u32) -> Option<&FixedBitSet> {
        let is_inside = components.of(install) == self.component;
        is_inside.then(|| &self.members[components.group_of(install)])
    }

    /// The builds of lower components that a member waits for, through the component only by the
    /// installs in `leads_in`. Where it comes before a member that it depends on, in one of the kinds in
    /// `premature`, it sees the old version. The dependencies of that one are there all the same, and do
    /// not follow from anything else it waits for.
    pub(super) fn outer_needs<B>(
        &self,
        assembly: &mut Assembly<'_, B>,
        member: u32,
        leads_in: impl Fn(u32) -> bool,
        premature: impl Fn(DependencyKind) -> bool,
    ) -> Vec<(u32, DependencyKind)> {
        let graph = assembly.graph;
        assembly.start_walk();
        let mut needs = Vec::new();
        let mut found = Vec::new();
        for edge in graph.needs(member) {
            if assembly.components.of(edge.install) != self.component {
                assembly.walk(edge.install, member, &mut found);
            } else if leads_in(edge.install) {
                let rows = if premature(edge.kind) {
                    &self.lower.all
                } else {
                    &self.lower.uncovered
                };
                let row = &rows[assembly.components.group_of(edge.install)];
                found.extend(row.ones().map(|at| self.lower.builds[at]));
            }
            needs.extend(found.drain(..).map(|build| (build, edge.kind)));
        }
        needs
    }

    pub(super) fn finish(self, first: u32, sequence: Sequence) -> SolvedCycle {
        SolvedCycle::new(self.members, self.lower, sequence, first)
    }
}

impl LowerBuilds {
    /// Finds what the installs of each group lead to themselves.
    fn new<B: Budget>(assembly: &mut Assembly<'_, B>, component: u32) -> Result<Self, B::Over> {
        let graph = assembly.graph;
        let groups = assembly.components.groups(component).to_vec();
        // Group, whether the build that makes the install needs it too, and build.
        let mut found: Vec<(usize, bool, u32)> = Vec::new();
        let mut builds = Vec::new();
        for (group, installs) in groups.iter().enumerate() {
            for &install in installs {
                assembly.budget.check()?;
                let member = graph.install(install).built_by;
                let is_made = member != OUTSIDE;
                let is_made_inside = is_made && assembly.components.of(member) == component;
                if is_made && !is_made_inside {
                    builds.push(assembly.last[member as usize]);
                }
                assembly.start_walk();
                for &pulled in graph.pulls(install) {
                    if assembly.components.of(pulled) != component {
                        assembly.walk(pulled, OUTSIDE, &mut builds);
                    }
                }
                let is_covered = is_made_inside && graph.install(install).covered;
                found.extend(builds.drain(..).map(|build| (group, is_covered, build)));
            }
        }
        builds.extend(found.iter().map(|&(.., build)| build));
        builds.sort_unstable();
        builds.dedup();
        let mut all = vec![FixedBitSet::with_capacity(builds.len()); groups.len()];
        let mut uncovered = all.clone();
        for (group, is_covered, build) in found {
            if let Ok(at) = builds.binary_search(&build) {
                all[group].insert(at);
                if !is_covered {
                    uncovered[group].insert(at);
                }
            }
        }
        Ok(Self {
            builds,
            all,
            uncovered,
        })
    }
}

/// Adds the set at one place to that at another.
fn merge(sets: &mut [FixedBitSet], from: usize, into: usize) {
    // A set has its own elements already.
    if let Ok([from, into]) = sets.get_disjoint_mut([from, into]) {
        into.union_with(from);
    }
}
