//! What must be there before what: the order inside a rebuild set, as a sparse graph.
//!
//! A build holds the packages it lists and everything those pull in at run time. Written down as
//! edges between builds that is far too much. So there are two sorts of vertices: *builds*, one per
//! member of the set, and *installs*, one per package that is of a member or leads to one. A build
//! needs the installs of what it lists; an install needs the installs of its run-time dependencies
//! and, if a member builds it, that build. A build's environment holds a member exactly if there is
//! a path to it through installs alone.

use rustc_hash::FxHashSet;

use crate::index::{DependencyKind, Use, number};
use crate::sonames::Sonames;
use crate::world::World;

use super::budget::Budget;
use super::members::{Members, OUTSIDE};
use super::spread::{Moves, spread};

/// An edge to an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) install: u32,
    pub(super) kind: DependencyKind,
}

/// The graph. Builds have the numbers of their members.
pub(super) struct Graph {
    /// The package of each install.
    pub(super) packages: Vec<u32>,
    /// For each build: what it installs, hardest kind first.
    pub(super) needs: Rows<Edge>,
    /// For each install: what it pulls in.
    pub(super) pulls: Rows<u32>,
    /// For each install: the member that builds it, or [`OUTSIDE`].
    pub(super) built_by: Vec<u32>,
    /// For each install: whether the build that makes it needs everything it pulls in, too. Not so
    /// for an origin's old version, whose dependencies the new one may have dropped.
    pub(super) covered: Vec<bool>,
    /// For each build: whether it is an origin's.
    pub(super) is_origin: Vec<bool>,
}

/// Lists of different lengths in one block of memory.
pub(super) struct Rows<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Rows<T> {
    pub(super) fn new() -> Self {
        Self {
            starts: vec![0],
            items: Vec::new(),
        }
    }

    /// Ends the current row and begins the next.
    pub(super) fn end_row(&mut self) {
        self.starts.push(number(self.items.len()));
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    pub(super) fn row(&self, row: u32) -> &[T] {
        let start = self.starts[row as usize] as usize;
        let end = self.starts[row as usize + 1] as usize;
        &self.items[start..end]
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }
}

/// What was found about relations on the way.
#[derive(Default)]
pub(super) struct Findings {
    /// Member, kind and relation of what nobody provides.
    pub(super) unresolved: Vec<(u32, DependencyKind, u32)>,
    /// Member and relation of what only an origin's old version satisfies.
    pub(super) outdated: Vec<(u32, u32)>,
}

/// Builds the graph of a set.
///
/// # Errors
/// When the budget is used up.
pub(super) fn build<B: Budget>(
    world: &mut World<'_>,
    members: &Members,
    sonames: Option<&Sonames>,
    budget: &B,
) -> Result<(Graph, Findings), B::Over> {
    let packages = relevant(world, members, sonames, budget)?;
    let mut install_of = vec![OUTSIDE; world.node_count()];
    for (install, &package) in (0..).zip(&packages) {
        install_of[package as usize] = install;
    }
    let mut findings = Findings::default();
    let mut needs = Rows::new();
    let mut edges = Vec::new();
    let mut uses = Vec::new();
    for (member, &base) in (0..).zip(&members.bases) {
        budget.check()?;
        edges.clear();
        uses_of(world, base, &mut uses);
        for used in &uses {
            let providers = world.installable(used.relation);
            edges.extend(providers.iter().filter_map(|&package| {
                let install = install_of[package as usize];
                (install != OUTSIDE).then_some(Edge {
                    install,
                    kind: used.kind,
                })
            }));
            if providers.is_empty() {
                let kind = used.kind.listed();
                findings.unresolved.push((member, kind, used.relation));
            } else if world.is_outdated(used.relation) {
                findings.outdated.push((member, used.relation));
            }
        }
        if let Some(sonames) = sonames {
            let libraries = libraries(world, members, base, sonames);
            edges.extend(libraries.into_iter().map(|package| Edge {
                install: install_of[package as usize],
                // Nothing says that the build installs it, but where it does it is to be the new one.
                kind: DependencyKind::Package,
            }));
            edges.retain(|edge| edge.install != OUTSIDE);
        }
        edges.sort_unstable_by(|a, b| a.install.cmp(&b.install).then(b.kind.cmp(&a.kind)));
        edges.dedup_by_key(|edge| edge.install);
        edges.sort_unstable_by(|a, b| b.kind.cmp(&a.kind).then(a.install.cmp(&b.install)));
        for &edge in &edges {
            needs.push(edge);
        }
        needs.end_row();
    }
    let mut pulls = Rows::new();
    let mut covered = Vec::with_capacity(packages.len());
    let mut built_by = Vec::with_capacity(packages.len());
    let mut relations = Vec::new();
    for &package in &packages {
        budget.check()?;
        relations.clear();
        let node = world.node(package);
        relations.extend(world.applicable(&node.depends).map(|used| used.relation));
        for &relation in &relations {
            for &provider in world.installable(relation) {
                let install = install_of[provider as usize];
                if install != OUTSIDE && provider != package {
                    pulls.push(install);
                }
            }
        }
        pulls.end_row();
        covered.push(!world.is_old(package));
        built_by.push(members.member_of[world.base_of(package) as usize]);
    }
    let origins: FxHashSet<u32> = members.origins.iter().copied().collect();
    findings.unresolved.sort_unstable();
    findings.unresolved.dedup();
    findings.outdated.sort_unstable();
    findings.outdated.dedup();
    let graph = Graph {
        packages,
        needs,
        pulls,
        built_by,
        covered,
        is_origin: members
            .bases
            .iter()
            .map(|base| origins.contains(base))
            .collect(),
    };
    Ok((graph, findings))
}

/// What a build lists: the base's fields, then the run-time dependencies of its packages that the
/// base does not have.
fn uses_of(world: &World<'_>, base: u32, uses: &mut Vec<Use>) {
    uses.clear();
    let Some(record) = world.base(base) else {
        return;
    };
    uses.extend(world.applicable(&record.build));
    let listed = uses
        .iter()
        .take_while(|used| used.kind == DependencyKind::Depends)
        .count();
    // A list is faster than a set as long as it is short, which it nearly always is.
    let many: Option<FxHashSet<u32>> =
        (listed > 64).then(|| uses.iter().take(listed).map(|used| used.relation).collect());
    for package in world.packages_of(record) {
        for used in world.applicable(&world.node(package).depends) {
            let in_base = match &many {
                Some(relations) => relations.contains(&used.relation),
                None => {
                    let mut base = uses.iter().take(listed);
                    base.any(|other| other.relation == used.relation)
                }
            };
            if !in_base {
                uses.push(*used);
            }
        }
    }
}

/// The packages of other members with a library that a package of this base links.
fn libraries(world: &World<'_>, members: &Members, base: u32, sonames: &Sonames) -> Vec<u32> {
    let Some(record) = world.base(base) else {
        return Vec::new();
    };
    world
        .packages_of(record)
        .flat_map(|package| sonames.libraries_of(world.name_text(world.node(package).name)))
        .filter_map(|(_, owner)| world.name_number(owner))
        .flat_map(|owner| world.named(owner))
        .filter(|&owner| {
            let other = world.base_of(owner);
            other != base && members.member_of[other as usize] != OUTSIDE
        })
        .collect()
}

/// The packages of the members, and those that lead to one at run time.
fn relevant<B: Budget>(
    world: &mut World<'_>,
    members: &Members,
    sonames: Option<&Sonames>,
    budget: &B,
) -> Result<Vec<u32>, B::Over> {
    if members.complete {
        return Ok(members.reach.packages.clone());
    }
    // The old versions of origins are among those reached; they count as packages of a member.
    let mut own: Vec<u32> = members
        .reach
        .packages
        .iter()
        .copied()
        .filter(|&package| world.is_old(package))
        .collect();
    for &base in &members.bases {
        if let Some(record) = world.base(base) {
            own.extend(world.packages_of(record));
        }
    }
    let everywhere = Moves {
        limit: u32::MAX,
        only_sonames: false,
        through_builds: false,
    };
    Ok(spread(world, &own, everywhere, sonames, |_, _| true, budget)?.packages)
}
