//! Packages of the base repositories that stand between packages of the index: nothing here builds
//! them, but chains of dependencies lead through them.

use std::fmt::Write as _;
use std::sync::Arc;

use buildbtw_model::Architecture;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::base::{BaseIndex, BasePackage};
use crate::index::{Fits, OWN_NAME, PackageIndex, Provider};
use crate::plan::Budget;
use crate::relation::Relation;
use crate::srcinfo::SourcePackage;

/// The packages of base that no source package makes for the architecture and from which dependencies
/// lead to one that is made, as source packages that are never built.
///
/// # Errors
/// When the budget is used up: base is looked through as a whole, however small the plan is.
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
        // Of two with one name pacman takes the first.
        if !known.makes(name) && names.insert(name) {
            candidates.push(package);
        }
    }
    let mut users: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    let mut leads = vec![false; candidates.len()];
    let mut queue = Vec::new();
    for (at, package) in candidates.iter().enumerate() {
        budget.check()?;
        for relation in &package.depends {
            let name = Relation::split(relation).name;
            users.entry(name).or_default().push(at);
            if !leads[at] && known.has(name) {
                leads[at] = true;
                queue.push(at);
            }
        }
    }
    while let Some(at) = queue.pop() {
        let package = candidates[at];
        let provided = package.provides.iter();
        let provided = provided.map(|provision| Relation::split(provision).name);
        for name in provided.chain([package.name.as_str()]) {
            budget.check()?;
            for &user in users.get(name).into_iter().flatten() {
                if !std::mem::replace(&mut leads[user], true) {
                    queue.push(user);
                }
            }
        }
    }
    let mut found = Vec::new();
    for (package, _) in candidates
        .into_iter()
        .zip(leads)
        .filter(|(_, leads)| *leads)
    {
        budget.check()?;
        found.extend(as_source(package));
    }
    Ok(found)
}

/// The names that the index and the origins have for the architecture.
struct Known<'a> {
    index: &'a PackageIndex,
    fits: Fits<'a>,
    made: FxHashSet<&'a str>,
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
        let made = packages().map(|package| package.pkgname().as_str());
        let provided = packages().flat_map(|package| package.provides(architecture));
        let provided = provided.map(|line| Relation::split(line).name.to_owned());
        Self {
            index,
            fits: index.tables.for_architecture(architecture),
            made: made.collect(),
            provided: provided.collect(),
        }
    }

    fn providers(&self, name: &str) -> impl Iterator<Item = &Provider> {
        let index = self.index;
        let number = index.tables.names.get(name);
        let providers = number.and_then(|number| index.tables.providers.get(number as usize));
        providers.into_iter().flatten().filter(move |provider| {
            let node = &index.nodes[provider.node as usize];
            self.fits.has(node.architectures) && self.fits.applies(provider.architecture)
        })
    }

    fn makes(&self, name: &str) -> bool {
        let mut known = self.providers(name);
        self.made.contains(name) || known.any(|provider| provider.provision == OWN_NAME)
    }

    fn has(&self, name: &str) -> bool {
        self.providers(name).next().is_some()
            || self.made.contains(name)
            || self.provided.contains(name)
    }
}

/// The package in the stored form of a source package, for any architecture and without a build.
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
