//! The search for the dependents of the origins, from package to package along reversed relations.
//!
//! It visits pkgnames, because a package of a split base that was not reached must not pull in its dependents.
//! Distances count pkgbases: a step between two packages of one base costs nothing, so this is a 0-1 breadth-first
//! search. petgraph's `Bfs` does not compute distances, and its graphs cannot resolve relations during a search.

use fixedbitset::FixedBitSet;

use crate::budget::Budget;
use crate::index::RelationUse;
use crate::sonames::Sonames;
use crate::world::World;

/// Means a package that was not reached.
pub(super) const UNREACHED: u32 = u32::MAX;

/// The rules of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpreadRules {
    pub(super) limit: u32,
    pub(super) only_sonames: bool,
    /// Whether it also follows build dependencies, to all packages of the base.
    pub(super) through_builds: bool,
}

/// The result of a search.
pub(super) struct Reach {
    /// For each package: its distance in bases, or [`UNREACHED`].
    pub(super) distance: Vec<u32>,
    /// For each package: the number of steps within its base that led to it at that distance.
    pub(super) inner: Vec<u32>,
    /// The reached packages, each once.
    pub(super) packages: Vec<u32>,
    /// The relations whose users were reached.
    pub(super) followed: FixedBitSet,
}

impl Reach {
    /// Reaches nothing yet.
    fn nothing(world: &World<'_>) -> Self {
        Self {
            distance: vec![UNREACHED; world.node_count()],
            inner: vec![0; world.node_count()],
            packages: Vec::new(),
            followed: FixedBitSet::with_capacity(world.relation_count()),
        }
    }

    fn relax(&mut self, package: u32, distance: u32, inner: u32) -> bool {
        let at = package as usize;
        if self.distance[at] <= distance {
            return false;
        }
        if self.distance[at] == UNREACHED {
            self.packages.push(package);
        }
        self.distance[at] = distance;
        self.inner[at] = inner;
        true
    }
}

/// Searches from these packages. Bases for which `enter` returns false are not entered.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn spread<B: Budget>(
    world: &mut World<'_>,
    from: &[u32],
    rules: SpreadRules,
    sonames: Option<&Sonames>,
    mut enter: impl FnMut(&World<'_>, u32) -> bool,
    budget: &B,
) -> Result<Reach, B::Over> {
    let mut reach = Reach::nothing(world);
    let mut relations = Vec::new();
    let mut siblings = Vec::new();
    let mut current = Vec::new();
    for &package in from {
        if reach.relax(package, 0, 0) {
            current.push(package);
        }
    }
    let mut distance = 0;
    while !current.is_empty() && distance < rules.limit {
        let mut next = Vec::new();
        let mut at = 0;
        while let Some(&package) = current.get(at) {
            at += 1;
            budget.check()?;
            // It may have been reached on a shorter path after it was queued.
            if reach.distance[package as usize] != distance {
                continue;
            }
            find_siblings(world, package, &reach, &mut siblings);
            step_inside(world, package, rules, &siblings, &mut reach, &mut current);
            relations_met_by(world, package, rules, &mut reach.followed, &mut relations);
            for &relation in &relations {
                step(
                    world,
                    relation,
                    distance + 1,
                    rules,
                    &mut enter,
                    &mut reach,
                    &mut next,
                );
            }
            for user in linked_by(world, package, sonames) {
                let base = world.node(user).base;
                if reach.distance[user as usize] > distance + 1
                    && enter(world, base)
                    && reach.relax(user, distance + 1, 0)
                {
                    next.push(user);
                }
            }
        }
        current = next;
        distance += 1;
    }
    Ok(reach)
}

/// Finds the relations that a package satisfies and that have not been followed yet, and marks them as followed.
pub(super) fn relations_met_by(
    world: &mut World<'_>,
    package: u32,
    rules: SpreadRules,
    followed: &mut FixedBitSet,
    found: &mut Vec<u32>,
) {
    found.clear();
    let node = world.node(package);
    let provided = node.provides.iter().map(|used| used.relation);
    let names = std::iter::once(node.name).chain(provided.map(|id| world.relation_name(id)));
    let candidates = names.flat_map(|name| world.relations_of(name));
    let candidates = candidates
        .filter(|&relation| !followed.contains(relation as usize))
        .filter(|&relation| !rules.only_sonames || world.is_soname(relation));
    found.extend(candidates);
    found.retain(|&relation| {
        let at = relation as usize;
        let met = !followed.contains(at) && world.resolve(relation).contains(&package);
        if met {
            followed.insert(at);
        }
        met
    });
}

/// Returns the packages of other bases that link a library of this one, declared or not.
pub(super) fn linked_by(world: &World<'_>, package: u32, sonames: Option<&Sonames>) -> Vec<u32> {
    let Some(sonames) = sonames else {
        return Vec::new();
    };
    let base = world.base_of(package);
    let name = world.name_text(world.node(package).name);
    sonames
        .linked_by(name)
        .filter_map(|(_, user)| world.name_number(user))
        .flat_map(|user| world.named(user))
        .filter(|&user| world.base_of(user) != base)
        .collect()
}

/// Reaches the users of a relation.
fn step(
    world: &World<'_>,
    relation: u32,
    distance: u32,
    rules: SpreadRules,
    enter: &mut impl FnMut(&World<'_>, u32) -> bool,
    reach: &mut Reach,
    next: &mut Vec<u32>,
) {
    for users in world.users(relation) {
        for user in &users.nodes {
            let far = reach.distance[user.id as usize] > distance;
            if far
                && world.applies(user.architecture)
                && world.fits(user.id)
                && !world.is_old(user.id)
                && enter(world, world.node(user.id).base)
                && reach.relax(user.id, distance, 0)
            {
                next.push(user.id);
            }
        }
        if !rules.through_builds {
            continue;
        }
        for user in &users.bases {
            if !world.applies(user.architecture) || world.is_replaced(user.id) {
                continue;
            }
            let Some(base) = world.base(user.id) else {
                continue;
            };
            for package in world.packages_of(base) {
                let far = reach.distance[package as usize] > distance;
                if far && enter(world, user.id) && reach.relax(package, distance, 0) {
                    next.push(package);
                }
            }
        }
    }
}

/// Finds the other packages of the same base that are farther away.
fn find_siblings(world: &World<'_>, package: u32, reach: &Reach, siblings: &mut Vec<u32>) {
    siblings.clear();
    if let Some(base) = world.base(world.base_of(package))
        && base.nodes.len() > 1
    {
        let distance = reach.distance[package as usize];
        let all = world.packages_of(base);
        siblings.extend(all.filter(|&sibling| reach.distance[sibling as usize] > distance));
    }
}

/// Reaches those of some packages of the same base that depend on this one, at the same distance.
fn step_inside(
    world: &mut World<'_>,
    package: u32,
    rules: SpreadRules,
    siblings: &[u32],
    reach: &mut Reach,
    current: &mut Vec<u32>,
) {
    if siblings.is_empty() {
        return;
    }
    let distance = reach.distance[package as usize];
    let inner = reach.inner[package as usize] + 1;
    let base = world.base_of(package);
    let needed_to_build = rules.through_builds && {
        let uses = |world: &World<'_>, at: usize| world.base(base)?.build.get(at).copied();
        any_resolves_to(world, uses, package, rules)
    };
    for &sibling in siblings {
        let uses = |world: &World<'_>, at: usize| world.node(sibling).depends.get(at).copied();
        if (needed_to_build || any_resolves_to(world, uses, package, rules))
            && reach.relax(sibling, distance, inner)
        {
            current.push(sibling);
        }
    }
}

/// Returns whether the package provides one of the uses, which are given by position.
fn any_resolves_to(
    world: &mut World<'_>,
    uses: impl Fn(&World<'_>, usize) -> Option<RelationUse>,
    package: u32,
    rules: SpreadRules,
) -> bool {
    let mut at = 0;
    while let Some(used) = uses(world, at) {
        at += 1;
        if world.applies(used.architecture)
            && (!rules.only_sonames || world.is_soname(used.relation))
            && world.resolve(used.relation).contains(&package)
        {
            return true;
        }
    }
    false
}
