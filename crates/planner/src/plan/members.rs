//! The rebuild set: which source packages a plan builds, and why.

use std::cmp::Ordering;
use std::sync::Arc;

use buildbtw_model::Scope;
use rustc_hash::FxHashMap;

use super::request::PlanRequest;
use super::spread::{FAR, Moves, Reach, spread};
use crate::index::number;
use crate::srcinfo::SourcePackage;
use crate::world::World;

/// Marks a base that is not in the set.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// The chain to a member, as a tree with the origins as its roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReasonStep {
    /// The number of a member; behind those, of an origin that is not built.
    pub(super) member: u32,
    /// The step before; [`OUTSIDE`] for a root.
    pub(super) before: u32,
}

/// The rebuild set. Members are numbered in the order of their names.
pub(super) struct Members {
    /// The base of each member.
    pub(super) bases: Vec<u32>,
    /// The origins, which may have nothing to build for the architecture.
    pub(super) origins: Vec<u32>,
    /// For each base: its number as a member, or [`OUTSIDE`].
    pub(super) member_of: Vec<u32>,
    pub(super) steps: Vec<ReasonStep>,
    /// For each member: the last step of its chain.
    pub(super) reason: Vec<u32>,
    /// Whether the search from the origins found everything that could lead from one member to
    /// another, so that there is no need for a second one.
    pub(super) complete: bool,
    /// The packages the search reached.
    pub(super) reached: Vec<u32>,
}

fn moves(scope: Scope) -> Moves {
    let (limit, only_sonames, through_builds) = match scope {
        Scope::Origin => (0, false, false),
        Scope::Direct => (1, false, false),
        Scope::Soname => (u32::MAX, true, false),
        Scope::Transitive => (u32::MAX, false, false),
        Scope::All => (u32::MAX, false, true),
    };
    Moves {
        limit,
        only_sonames,
        through_builds,
    }
}

/// Finds the members of the set.
pub(super) fn find(
    world: &mut World<'_>,
    request: &PlanRequest<'_>,
    origins: &[Arc<SourcePackage>],
) -> Members {
    let origin_bases: Vec<u32> = origins
        .iter()
        .filter_map(|origin| world.origin_base(origin))
        .collect();
    let mut seeds: Vec<u32> = Vec::new();
    for &origin in &origin_bases {
        let versions = [world.base(origin), world.old_version(origin)];
        for base in versions.into_iter().flatten() {
            seeds.extend(world.packages_of(base));
        }
    }
    let mut verdicts: Vec<Option<bool>> = vec![None; world.base_count()];
    let mut enter = |world: &World<'_>, base: u32| {
        request.exclude.is_empty()
            || *verdicts[base as usize].get_or_insert_with(|| {
                origin_bases.contains(&base)
                    || world
                        .base(base)
                        .is_some_and(|base| !request.exclude.matches(base.source.pkgbase()))
            })
    };
    let moves = moves(request.scope);
    let reach = spread(world, &seeds, moves, &mut enter);

    let mut is_member = vec![false; world.base_count()];
    let mut bases = Vec::new();
    let reached = reach.packages.iter().map(|&package| world.base_of(package));
    let buildable = |base: u32| {
        let record = world.base(base);
        record.is_some_and(|record| world.packages_of(record).next().is_some())
    };
    let included: Vec<u32> = if request.include.is_empty() {
        Vec::new()
    } else {
        let matches = |source: &SourcePackage| {
            let pkgbase = source.pkgbase();
            request.include.matches(pkgbase) && !request.exclude.matches(pkgbase)
        };
        let all = world.bases();
        all.filter(|(_, record)| matches(&record.source))
            .map(|(id, _)| id)
            .collect()
    };
    let some_included = !included.is_empty();
    for base in reached.chain(included) {
        if !is_member[base as usize] && buildable(base) {
            is_member[base as usize] = true;
            bases.push(base);
        }
    }
    bases.sort_by(|&a, &b| compare_bases(world, a, b));
    let mut member_of = vec![OUTSIDE; world.base_count()];
    for (member, &base) in (0..).zip(&bases) {
        member_of[base as usize] = member;
    }
    let every_package_reached = bases.iter().all(|&base| {
        world.base(base).is_none_or(|record| {
            world
                .packages_of(record)
                .all(|package| reach.distance[package as usize] != FAR)
        })
    });
    let complete = every_package_reached
        && !some_included
        && request.exclude.is_empty()
        && matches!(request.scope, Scope::Transitive | Scope::All);
    let mut reasons = Reasons {
        world,
        reach: &reach,
        moves,
        member_of: &member_of,
        members: number(bases.len()),
        origins: &origin_bases,
        steps: Vec::new(),
        step_of: FxHashMap::default(),
    };
    let reason = reasons.of_members(&bases);
    Members {
        steps: reasons.steps,
        bases,
        origins: origin_bases,
        member_of,
        reason,
        complete,
        reached: reach.packages,
    }
}

fn compare_bases(world: &World<'_>, a: u32, b: u32) -> Ordering {
    let name = |base: u32| world.base(base).map(|record| record.source.pkgbase());
    name(a).cmp(&name(b))
}

/// Finds the chains: the shortest, and of several the one whose names come first.
struct Reasons<'w, 'i> {
    world: &'w mut World<'i>,
    reach: &'w Reach,
    moves: Moves,
    member_of: &'w [u32],
    members: u32,
    origins: &'w [u32],
    steps: Vec<ReasonStep>,
    step_of: FxHashMap<u32, u32>,
}

impl Reasons<'_, '_> {
    fn of_members(&mut self, bases: &[u32]) -> Vec<u32> {
        (0..)
            .zip(bases)
            .map(|(member, &base)| {
                let nearest = self.nearest(base);
                match nearest {
                    Some(package) if !self.origins.contains(&base) => self.chain(package),
                    _ => self.push(member, OUTSIDE),
                }
            })
            .collect()
    }

    fn number_of(&self, base: u32) -> u32 {
        let member = self.member_of[base as usize];
        if member != OUTSIDE {
            return member;
        }
        let origin = self.origins.iter().position(|&origin| origin == base);
        origin.map_or(OUTSIDE, |origin| self.members + number(origin))
    }

    fn push(&mut self, member: u32, before: u32) -> u32 {
        self.steps.push(ReasonStep { member, before });
        number(self.steps.len() - 1)
    }

    /// A key that orders packages by name, not by number.
    fn key(&self, package: u32) -> (u32, u32) {
        let base = self.world.base_of(package);
        (
            self.member_of[base as usize],
            self.world.node(package).position,
        )
    }

    fn nearest(&self, base: u32) -> Option<u32> {
        let record = self.world.base(base)?;
        self.world
            .packages_of(record)
            .filter(|&package| self.reach.distance[package as usize] != FAR)
            .min_by_key(|&package| {
                let at = package as usize;
                (
                    self.reach.distance[at],
                    self.reach.inner[at],
                    self.key(package),
                )
            })
    }

    /// The last step of the chain to a package; makes the steps that are missing.
    fn chain(&mut self, package: u32) -> u32 {
        let mut path = vec![package];
        let mut before = OUTSIDE;
        let mut at = package;
        loop {
            if let Some(&step) = self.step_of.get(&at) {
                path.pop();
                before = step;
                break;
            }
            let Some(parent) = self.parent(at) else {
                break;
            };
            path.push(parent);
            at = parent;
        }
        for &package in path.iter().rev() {
            let base = self.world.base_of(package);
            let member = self.number_of(base);
            let same_base = self
                .steps
                .get(before as usize)
                .is_some_and(|step| step.member == member);
            if !same_base {
                before = self.push(member, before);
            }
            self.step_of.insert(package, before);
        }
        before
    }

    /// The package through which the search came.
    fn parent(&mut self, package: u32) -> Option<u32> {
        let at = package as usize;
        let (distance, inner) = (self.reach.distance[at], self.reach.inner[at]);
        if distance == 0 && inner == 0 {
            return None;
        }
        let node = self.world.node(package);
        let own_base = self.world.base_of(package);
        let mut relations: Vec<u32> = self
            .world
            .applicable(&node.depends)
            .map(|used| used.relation)
            .collect();
        if self.moves.through_builds
            && let Some(base) = self.world.base(node.base)
        {
            let build = self.world.applicable(&base.build);
            relations.extend(build.map(|used| used.relation));
        }
        let mut best: Option<((u32, u32), u32)> = None;
        for relation in relations {
            if self.moves.only_sonames && !self.world.is_soname(relation) {
                continue;
            }
            let candidates = self.world.resolve(relation).to_vec();
            for candidate in candidates {
                let at = candidate as usize;
                let sibling = self.world.base_of(candidate) == own_base;
                let leads_here = if inner == 0 {
                    // A step between bases is one further, whatever led to the package before.
                    !sibling
                        && self.reach.distance[at] != FAR
                        && self.reach.distance[at] + 1 == distance
                } else {
                    sibling
                        && self.reach.distance[at] == distance
                        && self.reach.inner[at] + 1 == inner
                };
                let key = self.key(candidate);
                if leads_here && best.is_none_or(|(other, _)| key < other) {
                    best = Some((key, candidate));
                }
            }
        }
        best.map(|(_, parent)| parent)
    }
}
