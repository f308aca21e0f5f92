//! The reasons of members: the shortest chain of dependencies from an origin. Of several chains, the one whose names
//! come first is taken.

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::members::{Members, OUTSIDE};
use super::spread::UNREACHED;
use crate::index::{DependencyKind, number};
use crate::sonames::Sonames;
use crate::world::World;

/// A step of a chain. All chains form trees with the origins as roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReasonStep {
    /// The number of a member; higher numbers are origins that are not built, then packages of base.
    pub(super) member: u32,
    /// The previous step; [`OUTSIDE`] for a root.
    pub(super) before: u32,
    /// The position of the library that links the step to the previous one; [`OUTSIDE`] if it is a declared dependency.
    pub(super) library: u32,
    /// The kind of the declared dependency on the previous step; `None` for a root and for a link.
    pub(super) kind: Option<DependencyKind>,
}

/// How the search stepped from one package to the next.
enum Link {
    /// By a dependency in the `.SRCINFO`.
    Declared(DependencyKind),
    /// By a library that the package links.
    Library(Arc<str>),
}

/// The chains of all members.
pub(super) struct Reasons {
    pub(super) steps: Vec<ReasonStep>,
    /// For each member: the last step of its chain.
    pub(super) last: Vec<u32>,
    /// Packages of base in chains.
    pub(super) outside: Vec<u32>,
    /// Libraries of steps.
    pub(super) libraries: Vec<Arc<str>>,
}

/// Finds the chains of all members, whose relations must have been resolved.
pub(super) fn trace(world: &World<'_>, members: &Members, sonames: Option<&Sonames>) -> Reasons {
    let mut search = Search {
        world,
        members,
        sonames,
        origin_at: (0..)
            .zip(&members.origins)
            .map(|(at, &base)| (base, at))
            .collect(),
        outside: Vec::new(),
        outside_at: FxHashMap::default(),
        libraries: Vec::new(),
        steps: Vec::with_capacity(members.bases.len()),
        step_of: vec![OUTSIDE; world.node_count()],
        nearest_of: vec![Cell::new(UNKNOWN); world.relation_count()],
        path: Vec::new(),
    };
    let last = (0..)
        .zip(&members.bases)
        .map(|(member, &base)| match search.nearest(base) {
            Some(package) if !search.origin_at.contains_key(&base) => search.chain(package),
            _ => search.push(member, OUTSIDE, None),
        })
        .collect();
    Reasons {
        steps: search.steps,
        last,
        outside: search.outside,
        libraries: search.libraries,
    }
}

/// Means a relation whose nearest provider is not known yet.
const UNKNOWN: u32 = u32::MAX - 1;

struct Search<'w, 'i> {
    world: &'w World<'i>,
    members: &'w Members,
    sonames: Option<&'w Sonames>,
    /// For the base of each origin: its position among the origins.
    origin_at: FxHashMap<u32, usize>,
    outside: Vec<u32>,
    /// For each base in `outside`: its position there.
    outside_at: FxHashMap<u32, usize>,
    libraries: Vec<Arc<str>>,
    steps: Vec<ReasonStep>,
    /// For each package: the last step of its chain, or [`OUTSIDE`].
    step_of: Vec<u32>,
    /// For each relation: see [`Search::nearest_provider`].
    nearest_of: Vec<Cell<u32>>,
    path: Vec<(u32, Option<Link>)>,
}

impl Search<'_, '_> {
    fn number_of(&mut self, base: u32) -> u32 {
        let member = self.members.member_of[base as usize];
        if member != OUTSIDE {
            return member;
        }
        let built = self.members.bases.len();
        if let Some(origin) = self.origin_at.get(&base) {
            return number(built + origin);
        }
        let place = *self.outside_at.entry(base).or_insert(self.outside.len());
        if place == self.outside.len() {
            self.outside.push(base);
        }
        number(built + self.members.origins.len() + place)
    }

    fn push(&mut self, member: u32, before: u32, link: Option<Link>) -> u32 {
        let (library, kind) = match link {
            None => (OUTSIDE, None),
            Some(Link::Declared(kind)) => (OUTSIDE, Some(kind)),
            Some(Link::Library(library)) => {
                self.libraries.push(library);
                (number(self.libraries.len() - 1), None)
            }
        };
        self.steps.push(ReasonStep {
            member,
            before,
            library,
            kind,
        });
        number(self.steps.len() - 1)
    }

    /// Returns a key that orders packages by name and not by number; those of base are in the order of base.
    fn key(&self, package: u32) -> (u32, u32, u32) {
        let base = self.world.base_of(package);
        let member = self.members.member_of[base as usize];
        let outside = if member == OUTSIDE { base } else { 0 };
        (member, outside, self.world.node(package).position)
    }

    fn nearest(&self, base: u32) -> Option<u32> {
        let record = self.world.base(base)?;
        let reach = &self.members.reach;
        self.world
            .packages_of(record)
            .filter(|&package| reach.distance[package as usize] != UNREACHED)
            .min_by_key(|&package| {
                let at = package as usize;
                (reach.distance[at], reach.inner[at], self.key(package))
            })
    }

    /// Returns the last step of the chain to a package, after adding missing steps.
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
            let (parent, link) = self.parent(package).unzip();
            self.path.push((package, link));
            next = parent;
        }
        while let Some((package, link)) = self.path.pop() {
            let member = self.number_of(self.world.base_of(package));
            let step = self.steps.get(before as usize);
            if step.is_none_or(|step| step.member != member) {
                before = self.push(member, before, link);
            }
            self.step_of[package as usize] = before;
        }
        before
    }

    /// Returns the package from which the search reached this one, and how. Of several dependencies on it, the hardest
    /// counts.
    fn parent(&self, package: u32) -> Option<(u32, Link)> {
        let reach = &self.members.reach;
        let at = package as usize;
        let (distance, inner) = (reach.distance[at], reach.inner[at]);
        if distance == 0 && inner == 0 {
            return None;
        }
        let (world, rules) = (self.world, self.members.rules);
        let node = world.node(package);
        let build = match world.base(node.base) {
            Some(base) if rules.through_builds => &*base.build,
            _ => &[],
        };
        let uses = world
            .applicable(&node.depends)
            .chain(world.applicable(build));
        let uses = uses.filter(|used| !rules.only_sonames || world.is_soname(used.relation));
        let best = if inner == 0 {
            // A step between bases increases the distance by one. No provider is nearer than that.
            let candidates = uses.filter_map(|used| {
                let candidate = self.nearest_provider(used.relation)?;
                Some((candidate, used.kind.listed()))
            });
            let candidates = candidates
                .filter(|&(candidate, _)| reach.distance[candidate as usize] + 1 == distance);
            candidates.min_by_key(|&(candidate, kind)| (self.key(candidate), Reverse(kind)))
        } else {
            let own_base = world.base_of(package);
            let candidates = uses.flat_map(|used| {
                let (providers, kind) = (world.providers(used.relation), used.kind.listed());
                providers.iter().map(move |&candidate| (candidate, kind))
            });
            let candidates = candidates.filter(|&(candidate, _)| {
                let at = candidate as usize;
                reach.distance[at] == distance
                    && reach.inner[at] + 1 == inner
                    && world.base_of(candidate) == own_base
            });
            candidates.min_by_key(|&(candidate, kind)| (self.key(candidate), Reverse(kind)))
        };
        match best {
            Some((parent, kind)) => Some((parent, Link::Declared(kind))),
            None => self.library_owner(package),
        }
    }

    /// Returns the provider of a relation that the search reached first, and of several the first by [`Search::key`].
    fn nearest_provider(&self, relation: u32) -> Option<u32> {
        let known = self.nearest_of[relation as usize].get();
        if known != UNKNOWN {
            return (known != OUTSIDE).then_some(known);
        }
        let distance = |provider: u32| self.members.reach.distance[provider as usize];
        let providers = self.world.providers(relation).iter().copied();
        let nearest = providers
            .filter(|&provider| distance(provider) != UNREACHED)
            .min_by_key(|&provider| (distance(provider), self.key(provider)));
        self.nearest_of[relation as usize].set(nearest.unwrap_or(OUTSIDE));
        nearest
    }

    /// Returns the package of another base, one step nearer, that contains a library which this one links.
    fn library_owner(&self, package: u32) -> Option<(u32, Link)> {
        let world = self.world;
        let distance = self.members.reach.distance[package as usize];
        let own_base = world.base_of(package);
        let name = world.name_text(world.node(package).name);
        let owners = self
            .sonames?
            .libraries_of(name)
            .flat_map(|(soname, owner)| {
                let number = world.name_number(owner);
                let packages = number
                    .into_iter()
                    .flat_map(move |number| world.named(number));
                packages.map(move |owner| (owner, &soname.name))
            });
        owners
            .filter(|&(owner, _)| {
                let far = self.members.reach.distance[owner as usize];
                far != UNREACHED && far + 1 == distance && world.base_of(owner) != own_base
            })
            .min_by_key(|&(owner, library)| (self.key(owner), library))
            .map(|(owner, library)| (owner, Link::Library(Arc::clone(library))))
    }
}
