//! Why a package is in the set: the shortest chain of dependencies from an origin, and of several
//! the one whose names come first.

use super::members::{Members, OUTSIDE};
use super::spread::FAR;
use crate::index::number;
use crate::world::World;

/// The chain to a member, as a tree with the origins as its roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReasonStep {
    /// The number of a member; behind those, of an origin that is not built.
    pub(super) member: u32,
    /// The step before; [`OUTSIDE`] for a root.
    pub(super) before: u32,
}

/// The chains of all members.
pub(super) struct Reasons {
    pub(super) steps: Vec<ReasonStep>,
    /// For each member: the last step of its chain.
    pub(super) last: Vec<u32>,
}

/// Finds the chains. Every relation of a member must have been resolved before.
pub(super) fn trace(world: &World<'_>, members: &Members) -> Reasons {
    let mut search = Search {
        world,
        members,
        steps: Vec::with_capacity(members.bases.len()),
        step_of: vec![OUTSIDE; world.node_count()],
        path: Vec::new(),
    };
    let last = (0..)
        .zip(&members.bases)
        .map(|(member, &base)| match search.nearest(base) {
            Some(package) if !members.origins.contains(&base) => search.chain(package),
            _ => search.push(member, OUTSIDE),
        })
        .collect();
    Reasons {
        steps: search.steps,
        last,
    }
}

struct Search<'w, 'i> {
    world: &'w World<'i>,
    members: &'w Members,
    steps: Vec<ReasonStep>,
    /// For each package: the last step of its chain, or [`OUTSIDE`].
    step_of: Vec<u32>,
    path: Vec<u32>,
}

impl Search<'_, '_> {
    fn number_of(&self, base: u32) -> u32 {
        let member = self.members.member_of[base as usize];
        if member != OUTSIDE {
            return member;
        }
        let mut origins = self.members.origins.iter();
        let origin = origins.position(|&origin| origin == base);
        origin.map_or(OUTSIDE, |origin| number(self.members.bases.len() + origin))
    }

    fn push(&mut self, member: u32, before: u32) -> u32 {
        self.steps.push(ReasonStep { member, before });
        number(self.steps.len() - 1)
    }

    /// A key that orders packages by name, not by number.
    fn key(&self, package: u32) -> (u32, u32) {
        let base = self.world.base_of(package);
        let member = self.members.member_of[base as usize];
        (member, self.world.node(package).position)
    }

    fn nearest(&self, base: u32) -> Option<u32> {
        let record = self.world.base(base)?;
        let reach = &self.members.reach;
        self.world
            .packages_of(record)
            .filter(|&package| reach.distance[package as usize] != FAR)
            .min_by_key(|&package| {
                let at = package as usize;
                (reach.distance[at], reach.inner[at], self.key(package))
            })
    }

    /// The last step of the chain to a package; makes the steps that are missing.
    fn chain(&mut self, package: u32) -> u32 {
        self.path.clear();
        let mut before = OUTSIDE;
        let mut next = Some(package);
        while let Some(package) = next {
            let known = self.step_of[package as usize];
            if known != OUTSIDE {
                before = known;
                break;
            }
            self.path.push(package);
            next = self.parent(package);
        }
        while let Some(package) = self.path.pop() {
            let member = self.number_of(self.world.base_of(package));
            let step = self.steps.get(before as usize);
            if step.is_none_or(|step| step.member != member) {
                before = self.push(member, before);
            }
            self.step_of[package as usize] = before;
        }
        before
    }

    /// The package through which the search came.
    fn parent(&self, package: u32) -> Option<u32> {
        let reach = &self.members.reach;
        let at = package as usize;
        let (distance, inner) = (reach.distance[at], reach.inner[at]);
        if distance == 0 && inner == 0 {
            return None;
        }
        let node = self.world.node(package);
        let own_base = self.world.base_of(package);
        let build = match self.world.base(node.base) {
            Some(base) if self.members.moves.through_builds => &*base.build,
            _ => &[],
        };
        let mut best: Option<((u32, u32), u32)> = None;
        for used in self
            .world
            .applicable(&node.depends)
            .chain(self.world.applicable(build))
        {
            if self.members.moves.only_sonames && !self.world.is_soname(used.relation) {
                continue;
            }
            for &candidate in self.world.providers(used.relation) {
                let at = candidate as usize;
                // A step between bases is one further, whatever led to the package before.
                let leads_here = if inner == 0 {
                    reach.distance[at] != FAR
                        && reach.distance[at] + 1 == distance
                        && self.world.base_of(candidate) != own_base
                } else {
                    reach.distance[at] == distance
                        && reach.inner[at] + 1 == inner
                        && self.world.base_of(candidate) == own_base
                };
                if leads_here {
                    let key = self.key(candidate);
                    if best.is_none_or(|(other, _)| key < other) {
                        best = Some((key, candidate));
                    }
                }
            }
        }
        best.map(|(_, parent)| parent)
    }
}
