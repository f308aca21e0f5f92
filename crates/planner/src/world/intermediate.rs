//! Packages of the base repositories that lie between packages of the index. They are not built, but chains of
//! dependencies lead through them.

use std::fmt::Write as _;
use std::sync::Arc;

use buildbtw_model::Architecture;
use fixedbitset::FixedBitSet;
use petgraph::visit::{Dfs, Visitable};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::base::{BaseIndex, BasePackage};
use crate::budget::Budget;
use crate::index::{ArchitectureFilter, OWN_NAME, PackageIndex, Provider, number};
use crate::relation::Relation;
use crate::sparse::SparseGraph;
use crate::srcinfo::SourcePackage;

/// Returns the packages of base that no source package produces for the architecture and whose dependencies lead to
/// one that is produced, as source packages that are never built.
///
/// # Errors
/// Fails when the budget is exceeded: all of base is searched, however small the plan is.
pub(super) fn packages<B: Budget>(
    index: &PackageIndex,
    architecture: &Architecture,
    origins: &[Arc<SourcePackage>],
    base: &BaseIndex,
    budget: &B,
) -> Result<Vec<Arc<SourcePackage>>, B::Over> {
    let known = Known::new(index, architecture, origins);
    let mut names = FxHashSet::default();
    let mut candidates: Vec<&BasePackage> = Vec::new();
    for package in base.packages() {
        budget.check()?;
        let name = package.name.as_str();
        // pacman uses the first of several packages with the same name.
        if !known.produces(name) && names.insert(name) {
            candidates.push(package);
        }
    }
    let leads = find_leading(&candidates, &known, budget)?;
    let mut found = Vec::new();
    for at in leads.ones().take_while(|&at| at < candidates.len()) {
        budget.check()?;
        found.extend(as_source(candidates[at]));
    }
    Ok(found)
}

/// Returns the positions of the packages whose dependencies lead to a known name.
///
/// The vertices of the graph are the packages, followed by the names that they depend on. Edges lead from a name to the
/// packages that depend on it, and from a package to the names that it has and provides.
///
/// # Errors
/// When the budget is used up.
fn find_leading<B: Budget>(
    candidates: &[&BasePackage],
    known: &Known<'_>,
    budget: &B,
) -> Result<FixedBitSet, B::Over> {
    let mut vertices: FxHashMap<&str, u32> = FxHashMap::default();
    let mut edges = Vec::new();
    let mut known_names = Vec::new();
    for (at, package) in (0..).zip(candidates) {
        budget.check()?;
        for relation in &package.depends {
            let name = Relation::split(relation).name;
            let next = number(candidates.len() + vertices.len());
            let vertex = *vertices.entry(name).or_insert(next);
            if vertex == next && known.has(name) {
                known_names.push(vertex);
            }
            edges.push((vertex, at));
        }
    }
    for (at, package) in (0..).zip(candidates) {
        budget.check()?;
        let provided = package.provides.iter();
        let provided = provided.map(|provision| Relation::split(provision).name);
        let names = provided.chain([package.name.as_str()]);
        edges.extend(names.filter_map(|name| Some((at, *vertices.get(name)?))));
    }
    let graph = SparseGraph::from_edges(candidates.len() + vertices.len(), &edges);
    let mut search = Dfs::from_parts(known_names, graph.visit_map());
    while search.next(&graph).is_some() {
        budget.check()?;
    }
    Ok(search.discovered)
}

/// The names that the index and the origins produce or provide for the architecture.
struct Known<'a> {
    index: &'a PackageIndex,
    filter: ArchitectureFilter<'a>,
    produced: FxHashSet<&'a str>,
    provided: FxHashSet<String>,
}

impl<'a> Known<'a> {
    fn new(
        index: &'a PackageIndex,
        architecture: &'a Architecture,
        origins: &'a [Arc<SourcePackage>],
    ) -> Self {
        let packages = || {
            let packages = origins.iter().flat_map(|origin| origin.packages());
            packages.filter(|package| {
                let mut names = package.architecture_names();
                names.any(|name| name == "any" || name == architecture.as_str())
            })
        };
        let produced = packages().map(|package| package.pkgname().as_str());
        let provided = packages().flat_map(|package| package.provides(architecture));
        let provided = provided.map(|line| Relation::split(line).name.to_owned());
        Self {
            index,
            filter: index.tables.for_architecture(architecture),
            produced: produced.collect(),
            provided: provided.collect(),
        }
    }

    fn providers(&self, name: &str) -> impl Iterator<Item = &Provider> {
        let index = self.index;
        let number = index.tables.names.get(name);
        let providers = number.and_then(|number| index.tables.providers.get(number as usize));
        providers.into_iter().flatten().filter(move |provider| {
            let node = &index.nodes[provider.node as usize];
            self.filter.matches(node.architectures) && self.filter.applies(provider.architecture)
        })
    }

    fn produces(&self, name: &str) -> bool {
        let mut known = self.providers(name);
        self.produced.contains(name) || known.any(|provider| provider.provision == OWN_NAME)
    }

    fn has(&self, name: &str) -> bool {
        self.providers(name).next().is_some()
            || self.produced.contains(name)
            || self.provided.contains(name)
    }
}

/// Converts a package of base to a source package for any architecture, without build dependencies.
fn as_source(package: &BasePackage) -> Option<Arc<SourcePackage>> {
    let name = package.name.as_str();
    let pkgbase = package.pkgbase.as_ref().map_or(name, |base| base.as_str());
    let mut text = format!("b {pkgbase}\nv {}\na any\nn {name}\n", package.version);
    for (tag, relations) in [('d', &package.depends), ('p', &package.provides)] {
        for relation in relations {
            if relation.contains(['\n', '\r']) {
                return None;
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{tag} {relation}");
        }
    }
    SourcePackage::from_stored(text).ok().map(Arc::new)
}
