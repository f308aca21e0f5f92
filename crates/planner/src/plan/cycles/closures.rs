//! The closures of the installs in a component: the members and the lower builds that they pull in.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use super::sequence::Sequence;
use super::solved::{LowerBuilds, SolvedCycle};
use crate::budget::Budget;
use crate::index::DependencyKind;
use crate::plan::assembly::Assembly;
use crate::plan::components::Components;
use crate::plan::members::OUTSIDE;

/// The closures of the installs in a component.
pub(super) struct Closures {
    component: u32,
    /// For each group of installs: the members of the component that it pulls in.
    members: Vec<FixedBitSet>,
    lower: LowerBuilds,
}

impl Closures {
    /// Finds what each group pulls in: by its own installs, and by the groups before it.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        assembly: &mut Assembly<'_, B>,
        component: u32,
        members: &[u32],
    ) -> Result<Self, B::Over> {
        let graph = assembly.graph;
        let position_of: FxHashMap<u32, usize> = members.iter().copied().zip(0..).collect();
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
                if let Some(&position) = position_of.get(&graph.install(install).built_by) {
                    closures.members[group].insert(position);
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

    /// Returns the members of the component that an install pulls in; `None` for an install of another component.
    pub(super) fn members_of(&self, components: &Components, install: u32) -> Option<&FixedBitSet> {
        let is_inside = components.of(install) == self.component;
        is_inside.then(|| &self.members[components.group_of(install)])
    }

    /// Returns the builds of lower components that a member waits for. Paths into the component must begin with an
    /// install that `leads_in` selects. If the member comes before one of its dependencies, of a kind for which
    /// `premature` is true, it sees the old version. The dependencies of that version must still be installed, and they
    /// are not implied by its other needs.
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
    /// Finds the lower builds that the installs of each group lead to directly.
    fn new<B: Budget>(assembly: &mut Assembly<'_, B>, component: u32) -> Result<Self, B::Over> {
        let graph = assembly.graph;
        let groups = assembly.components.groups(component).to_vec();
        // Group, whether the build that produces the install also needs it, and build.
        let mut found: Vec<(usize, bool, u32)> = Vec::new();
        let mut builds = Vec::new();
        for (group, installs) in groups.iter().enumerate() {
            for &install in installs {
                assembly.budget.check()?;
                let member = graph.install(install).built_by;
                let is_produced = member != OUTSIDE;
                let is_produced_inside = is_produced && assembly.components.of(member) == component;
                if is_produced && !is_produced_inside {
                    builds.push(assembly.last[member as usize]);
                }
                assembly.start_walk();
                for &pulled in graph.pulls(install) {
                    if assembly.components.of(pulled) != component {
                        assembly.walk(pulled, OUTSIDE, &mut builds);
                    }
                }
                let is_covered = is_produced_inside && graph.install(install).covered;
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

/// Adds the set at one position to the set at another.
fn merge(sets: &mut [FixedBitSet], from: usize, into: usize) {
    // Equal positions give an error here: a set already contains its own elements.
    if let Ok([from, into]) = sets.get_disjoint_mut([from, into]) {
        into.union_with(from);
    }
}
