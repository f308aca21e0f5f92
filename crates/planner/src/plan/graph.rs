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
use crate::sparse::{Rows, SparseGraph};
use crate::world::World;

use super::budget::Budget;
use super::members::{Members, OUTSIDE};
use super::spread::{SpreadRules, spread};

/// An edge from a build to an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) install: u32,
    pub(super) kind: DependencyKind,
}

/// The graph. The first vertices are the builds, with the numbers of their members; installs follow.
pub(super) struct Graph {
    /// From what needs to what is needed: from builds to installs, from installs to those they pull
    /// in, and last from an install to the build that makes it.
    pub(super) edges: SparseGraph,
    /// For each edge of a build: its kind. The edges of builds come before those of installs.
    kinds: Vec<DependencyKind>,
    /// For each install, without those before them.
    pub(super) installs: Vec<Install>,
    /// For each build: whether it is an origin's.
    pub(super) is_origin: Vec<bool>,
}

/// What an install is.
pub(super) struct Install {
    pub(super) package: u32,
    /// The member that builds it, or [`OUTSIDE`].
    pub(super) built_by: u32,
    /// Whether the build that makes it needs everything it pulls in, too. Not so for an origin's old
    /// version, whose dependencies the new one may have dropped.
    pub(super) covered: bool,
}

impl Graph {
    /// How many builds there are.
    pub(super) fn builds(&self) -> usize {
        self.is_origin.len()
    }

    /// How many vertices there are.
    pub(super) fn vertices(&self) -> usize {
        self.is_origin.len() + self.installs.len()
    }

    pub(super) fn is_build(&self, vertex: u32) -> bool {
        (vertex as usize) < self.builds()
    }

    /// What is known of an install.
    pub(super) fn install(&self, vertex: u32) -> &Install {
        &self.installs[vertex as usize - self.builds()]
    }

    /// What a build installs, hardest kind first.
    pub(super) fn needs(&self, build: u32) -> impl Iterator<Item = Edge> {
        let rows = self.edges.outgoing();
        let kinds = &self.kinds[rows.range(build)];
        let edges = rows.row(build).iter().zip(kinds);
        edges.map(|(&install, &kind)| Edge { install, kind })
    }

    /// What an install pulls in.
    pub(super) fn pulls(&self, install: u32) -> &[u32] {
        match self.edges.outgoing().row(install) {
            [pulls @ .., last] if self.is_build(*last) => pulls,
            pulls => pulls,
        }
    }
}

/// What was found about relations on the way.
#[derive(Default)]
pub(super) struct Findings {
    /// Member, kind and relation of what no package provides.
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
    for (install, &package) in (number(members.bases.len())..).zip(&packages) {
        install_of[package as usize] = install;
    }
    let mut writer = Writer {
        world,
        members,
        install_of,
        rows: Rows::new(),
        kinds: Vec::new(),
        findings: Findings::default(),
    };
    writer.add_builds(sonames, budget)?;
    let installs = writer.add_installs(&packages, budget)?;
    let Writer {
        rows,
        kinds,
        mut findings,
        ..
    } = writer;
    findings.unresolved.sort_unstable();
    findings.unresolved.dedup();
    findings.outdated.sort_unstable();
    findings.outdated.dedup();
    let origins: FxHashSet<u32> = members.origins.iter().copied().collect();
    let graph = Graph {
        edges: SparseGraph::new(rows),
        kinds,
        installs,
        is_origin: members
            .bases
            .iter()
            .map(|base| origins.contains(base))
            .collect(),
    };
    Ok((graph, findings))
}

/// Writes the rows of the graph, one vertex after the other.
struct Writer<'w, 'i> {
    world: &'w mut World<'i>,
    members: &'w Members,
    /// For each package: its install, or [`OUTSIDE`].
    install_of: Vec<u32>,
    rows: Rows,
    kinds: Vec<DependencyKind>,
    findings: Findings,
}

impl Writer<'_, '_> {
    fn add_builds<B: Budget>(
        &mut self,
        sonames: Option<&Sonames>,
        budget: &B,
    ) -> Result<(), B::Over> {
        let members = self.members;
        let mut edges = Vec::new();
        let mut uses = Vec::new();
        for (member, &base) in (0..).zip(&members.bases) {
            budget.check()?;
            uses_of(self.world, base, &mut uses);
            self.find_edges(member, &uses, &mut edges);
            if let Some(sonames) = sonames {
                let libraries = libraries(self.world, members, base, sonames);
                edges.extend(libraries.into_iter().map(|package| Edge {
                    install: self.install_of[package as usize],
                    // Nothing says that the build installs it, but where it does it is to be the new one.
                    kind: DependencyKind::Package,
                }));
                edges.retain(|edge| edge.install != OUTSIDE);
            }
            edges.sort_unstable_by(|a, b| a.install.cmp(&b.install).then(b.kind.cmp(&a.kind)));
            edges.dedup_by_key(|edge| edge.install);
            edges.sort_unstable_by(|a, b| b.kind.cmp(&a.kind).then(a.install.cmp(&b.install)));
            for edge in &edges {
                self.rows.push(edge.install);
                self.kinds.push(edge.kind);
            }
            self.rows.end_row();
        }
        Ok(())
    }

    /// Finds the installs that a member's build lists.
    fn find_edges(&mut self, member: u32, uses: &[Use], edges: &mut Vec<Edge>) {
        edges.clear();
        for used in uses {
            let providers = self.world.installable(used.relation);
            edges.extend(providers.iter().filter_map(|&package| {
                let install = self.install_of[package as usize];
                (install != OUTSIDE).then_some(Edge {
                    install,
                    kind: used.kind,
                })
            }));
            if providers.is_empty() {
                let kind = used.kind.listed();
                self.findings.unresolved.push((member, kind, used.relation));
            } else if self.world.is_outdated(used.relation) {
                self.findings.outdated.push((member, used.relation));
            }
        }
    }

    fn add_installs<B: Budget>(
        &mut self,
        packages: &[u32],
        budget: &B,
    ) -> Result<Vec<Install>, B::Over> {
        let mut installs = Vec::with_capacity(packages.len());
        let mut relations = Vec::new();
        for &package in packages {
            budget.check()?;
            relations.clear();
            let node = self.world.node(package);
            let uses = self.world.applicable(&node.depends);
            relations.extend(uses.map(|used| used.relation));
            for &relation in &relations {
                for &provider in self.world.installable(relation) {
                    let install = self.install_of[provider as usize];
                    if install != OUTSIDE && provider != package {
                        self.rows.push(install);
                    }
                }
            }
            let built_by = self.members.member_of[self.world.base_of(package) as usize];
            if built_by != OUTSIDE {
                self.rows.push(built_by);
            }
            self.rows.end_row();
            installs.push(Install {
                package,
                built_by,
                covered: !self.world.is_old(package),
            });
        }
        Ok(installs)
    }
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
    let everywhere = SpreadRules {
        limit: u32::MAX,
        only_sonames: false,
        through_builds: false,
    };
    Ok(spread(world, &own, everywhere, sonames, |_, _| true, budget)?.packages)
}
