//! What lies behind each install of a component: members inside of it, and builds below it.

use rustc_hash::FxHashMap;

use super::sequence::{Sequence, reduce};
use crate::bits::{BitMatrix, ones};
use crate::index::{DependencyKind, number};
use crate::plan::assemble::Assembly;
use crate::plan::budget::Budget;
use crate::plan::components::components;
use crate::plan::members::OUTSIDE;

/// The installs of a component that is being solved.
pub(super) struct Inside {
    /// Installs that pull in each other have the same group.
    group_of: FxHashMap<u32, u32>,
    /// For each group: the members of the component that it pulls in.
    members: BitMatrix,
    below: Below,
}

/// Builds of lower components that installs of this one pull in.
struct Below {
    builds: Vec<u32>,
    /// For each group: those that some path leads to.
    all: BitMatrix,
    /// For each group: those that no member of the component needs on its own account.
    uncovered: BitMatrix,
}

/// A component that was solved, for the builds above it.
pub(crate) struct Cyclic {
    group_of: FxHashMap<u32, u32>,
    members: BitMatrix,
    below: Below,
    sequence: Sequence,
    /// The first build of the component.
    first: u32,
    /// For each group: the answer of [`Cyclic::builds_behind`].
    answers: Vec<Option<Box<[u32]>>>,
}

impl Inside {
    pub(super) fn new<B: Budget>(
        assembly: &mut Assembly<'_, B>,
        component: u32,
        members: &[u32],
    ) -> Result<Self, B::Over> {
        let budget = assembly.budget;
        let graph = assembly.graph;
        let builds = number(graph.needs.len());
        let vertices = assembly.components.vertices(component as usize).iter();
        let installs: Vec<u32> = vertices
            .filter_map(|&vertex| vertex.checked_sub(builds))
            .collect();
        let local: FxHashMap<u32, u32> = (0..).zip(&installs).map(|(at, &id)| (id, at)).collect();
        let mut inner: Vec<Vec<u32>> = Vec::with_capacity(installs.len());
        for &install in &installs {
            let pulls = graph.pulls.row(install).iter();
            inner.push(
                pulls
                    .filter_map(|pulled| local.get(pulled).copied())
                    .collect(),
            );
        }
        let groups = components(installs.len(), |install, edge| {
            inner[install as usize].get(edge as usize).copied()
        });
        let local_member: FxHashMap<u32, usize> = members
            .iter()
            .enumerate()
            .map(|(at, &id)| (id, at))
            .collect();
        let group_of = installs
            .iter()
            .zip(&groups.of)
            .map(|(&install, &group)| (install, group))
            .collect();

        let mut reached = BitMatrix::new(groups.len(), members.len());
        let mut seeds: Vec<(usize, bool, u32)> = Vec::new();
        for (&install, &group) in installs.iter().zip(&groups.of) {
            budget.check()?;
            let member = graph.built_by[install as usize];
            let inside = local_member.get(&member).copied();
            if let Some(member) = inside {
                reached.set(group as usize, member);
            }
            let covered = inside.is_some() && graph.covered[install as usize];
            assembly.start_walk();
            let mut found = Vec::new();
            if inside.is_none() && member != OUTSIDE {
                found.push(assembly.last[member as usize]);
            }
            for &pulled in graph.pulls.row(install) {
                if !local.contains_key(&pulled) {
                    assembly.walk(pulled, OUTSIDE, &mut found);
                }
            }
            seeds.extend(
                found
                    .into_iter()
                    .map(|build| (group as usize, covered, build)),
            );
        }
        let mut lower: Vec<u32> = seeds.iter().map(|&(_, _, build)| build).collect();
        lower.sort_unstable();
        lower.dedup();
        let mut all = BitMatrix::new(groups.len(), lower.len());
        let mut uncovered = BitMatrix::new(groups.len(), lower.len());
        for (group, covered, build) in seeds {
            if let Ok(at) = lower.binary_search(&build) {
                all.set(group, at);
                if !covered {
                    uncovered.set(group, at);
                }
            }
        }
        // Groups come behind those they pull in.
        for group in 0..groups.len() {
            budget.check()?;
            for &install in groups.vertices(group) {
                for &pulled in &inner[install as usize] {
                    let from = groups.of[pulled as usize] as usize;
                    reached.merge(from, group);
                    all.merge(from, group);
                    uncovered.merge(from, group);
                }
            }
        }
        Ok(Self {
            group_of,
            members: reached,
            below: Below {
                builds: lower,
                all,
                uncovered,
            },
        })
    }

    /// The members of the component that an install of it pulls in.
    pub(super) fn members_behind(&self, install: u32) -> Option<&[u64]> {
        let group = *self.group_of.get(&install)?;
        Some(self.members.row(group as usize))
    }

    /// The builds of lower components that a member waits for, through the component only by the
    /// installs in `leads_in`. Where it comes before a member that it depends on, in one of the kinds in
    /// `early`, it sees the old version. The dependencies of that one are there all the same, and do
    /// not follow from anything else it waits for.
    pub(super) fn outer_needs<B>(
        &self,
        assembly: &mut Assembly<'_, B>,
        member: u32,
        leads_in: impl Fn(u32) -> bool,
        early: impl Fn(DependencyKind) -> bool,
    ) -> Vec<(u32, DependencyKind)> {
        let graph = assembly.graph;
        assembly.start_walk();
        let mut needs = Vec::new();
        let mut found = Vec::new();
        for edge in graph.needs.row(member) {
            match self.group_of.get(&edge.install) {
                None => assembly.walk(edge.install, member, &mut found),
                Some(_) if !leads_in(edge.install) => {}
                Some(&group) => {
                    let rows = if early(edge.kind) {
                        &self.below.all
                    } else {
                        &self.below.uncovered
                    };
                    let row = rows.row(group as usize);
                    found.extend(ones(row).map(|at| self.below.builds[at]));
                }
            }
            needs.extend(found.drain(..).map(|build| (build, edge.kind)));
        }
        needs
    }

    pub(super) fn finish(self, first: u32, sequence: Sequence) -> Cyclic {
        let groups = self
            .group_of
            .values()
            .max()
            .map_or(0, |&max| max as usize + 1);
        Cyclic {
            group_of: self.group_of,
            members: self.members,
            below: self.below,
            sequence,
            first,
            answers: vec![None; groups],
        }
    }
}

impl Cyclic {
    /// The builds that a build above waits for when it installs this.
    pub(crate) fn builds_behind(&mut self, install: u32) -> &[u32] {
        let Some(&group) = self.group_of.get(&install) else {
            return &[];
        };
        let group = group as usize;
        let Self {
            members,
            below,
            sequence,
            first,
            answers,
            ..
        } = self;
        answers[group].get_or_insert_with(|| {
            let steps = sequence.steps.len();
            let mut wanted = vec![0u64; steps.div_ceil(64).max(1)];
            for build in ones(members.row(group)) {
                let step = sequence.last[build];
                wanted[step / 64] |= 1 << (step % 64);
            }
            let inside = reduce(&sequence.ancestors, &mut wanted);
            let inside = inside.into_iter().map(|step| *first + number(step));
            let lower = ones(below.uncovered.row(group)).map(|at| below.builds[at]);
            inside.chain(lower).collect()
        })
    }
}
