//! The dependency graph of a rebuild set, as a sparse graph.
//!
//! The environment of a build contains the packages that it lists and everything that these pull in at run time. Edges
//! between builds would be far too many. So there are two kinds of vertices: *builds*, one per member of the set, and
//! *installs*, one per package that belongs to a member or leads to one. A build needs the installs of what it lists;
//! an install needs the installs of its run-time dependencies and, if a member builds it, that build. A build's
//! environment contains a member if and only if there is a path to it that consists of installs.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashSet;

use crate::index::{DependencyKind, RelationUse, number};
use crate::sonames::Sonames;
use crate::sparse::{Rows, SparseGraph};
use crate::world::World;

use super::installable::leading_to_members;
use super::members::{Members, OUTSIDE};
use crate::budget::Budget;

/// An edge from a build to an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) install: u32,
    pub(super) kind: DependencyKind,
}

/// The graph. Its first vertices are the builds, with the numbers of their members; installs follow.
pub(super) struct Graph {
    /// Edges lead from a vertex to what it needs: from a build to its installs, from an install to those that it pulls
    /// in, and last to the build that produces it.
    pub(super) edges: SparseGraph,
    /// For each edge of a build: its kind. The edges of builds come before those of installs.
    kinds: Vec<DependencyKind>,
    /// The installs, numbered after the builds.
    pub(super) installs: Vec<Install>,
    /// The builds of origins, among all builds.
    pub(super) origins: FixedBitSet,
}

/// A package that builds install.
pub(super) struct Install {
    pub(super) package: u32,
    /// The member that builds it, or [`OUTSIDE`].
    pub(super) built_by: u32,
    /// Whether the build that produces it also needs everything that it pulls in. This is not so for an origin's old
    /// version, because the new one may have dropped dependencies.
    pub(super) covered: bool,
}

impl Graph {
    /// Returns the number of builds.
    pub(super) fn builds(&self) -> usize {
        self.origins.len()
    }

    /// Returns the number of vertices.
    pub(super) fn vertices(&self) -> usize {
        self.origins.len() + self.installs.len()
    }

    pub(super) fn is_build(&self, vertex: u32) -> bool {
        (vertex as usize) < self.builds()
    }

    /// Returns the install with this number.
    pub(super) fn install(&self, vertex: u32) -> &Install {
        &self.installs[vertex as usize - self.builds()]
    }

    /// Returns what a build installs, the hardest kind first.
    pub(super) fn needs(&self, build: u32) -> impl Iterator<Item = Edge> {
        let rows = self.edges.outgoing();
        let kinds = &self.kinds[rows.range(build)];
        let edges = rows.row(build).iter().zip(kinds);
        edges.map(|(&install, &kind)| Edge { install, kind })
    }

    /// Returns the installs that an install pulls in.
    pub(super) fn pulls(&self, install: u32) -> &[u32] {
        match self.edges.outgoing().row(install) {
            [pulls @ .., last] if self.is_build(*last) => pulls,
            pulls => pulls,
        }
    }
}

/// Findings about relations while the graph is built.
#[derive(Default)]
pub(super) struct Findings {
    /// Relations that no package satisfies: member, kind and relation.
    pub(super) unresolved: Vec<(u32, DependencyKind, u32)>,
    /// Relations that only an origin's old version satisfies: member and relation.
    pub(super) outdated: Vec<(u32, u32)>,
}

/// Builds the graph of a rebuild set.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn build<B: Budget>(
    world: &mut World<'_>,
    members: &Members,
    sonames: Option<&Sonames>,
    budget: &B,
) -> Result<(Graph, Findings), B::Over> {
    let packages = leading_to_members(world, members, sonames, budget)?;
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
    let mut origins = FixedBitSet::with_capacity(members.bases.len());
    let numbers = members.origins.iter();
    let numbers = numbers.map(|&base| members.member_of[base as usize]);
    origins.extend(
        numbers
            .filter(|&member| member != OUTSIDE)
            .map(|member| member as usize),
    );
    let graph = Graph {
        edges: SparseGraph::new(rows),
        kinds,
        installs,
        origins,
    };
    Ok((graph, findings))
}

/// A writer of the graph's rows, one vertex after the other.
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
                    // No dependency declares that the build installs it, but if it does, it should be the new one.
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
    fn find_edges(&mut self, member: u32, uses: &[RelationUse], edges: &mut Vec<Edge>) {
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

/// Collects what a build lists: the base's fields, then the run-time dependencies of its packages that the base does
/// not have.
fn uses_of(world: &World<'_>, base: u32, uses: &mut Vec<RelationUse>) {
    uses.clear();
    let Some(record) = world.base(base) else {
        return;
    };
    uses.extend(world.applicable(&record.build));
    let listed = uses
        .iter()
        .take_while(|used| used.kind == DependencyKind::Depends)
        .count();
    // The list is nearly always short, and then faster than a set.
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

/// Returns the packages of other members that contain a library which a package of this base links.
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
