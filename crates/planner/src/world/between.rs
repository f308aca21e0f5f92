//! Packages of the base repositories that stand between packages of the index: nothing here builds
//! them, but chains of dependencies lead through them.

use std::fmt::Write as _;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::base::{BaseIndex, BasePackage};
use crate::index::{OWN_NAME, PackageIndex, Provider};
use crate::relation::Relation;
use crate::srcinfo::SourcePackage;

/// The packages of base that no source package makes and from which dependencies lead to one that is
/// made, as source packages that are never built.
pub(super) fn packages(
    index: &PackageIndex,
    origins: &[Arc<SourcePackage>],
    base: &BaseIndex,
) -> Vec<Arc<SourcePackage>> {
    let known = Known::new(index, origins);
    let mut names = FxHashSet::default();
    // Of two with one name pacman takes the first.
    let candidates: Vec<&BasePackage> = base
        .packages()
        .iter()
        .filter(|package| !known.makes(package.name.as_str()))
        .filter(|package| names.insert(package.name.as_str()))
        .collect();
    let mut users: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    let mut leads = vec![false; candidates.len()];
    let mut queue = Vec::new();
    for (at, package) in candidates.iter().enumerate() {
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
            for &user in users.get(name).into_iter().flatten() {
                if !std::mem::replace(&mut leads[user], true) {
                    queue.push(user);
                }
            }
        }
    }
    let found = candidates.into_iter().zip(leads);
    found
        .filter(|(_, leads)| *leads)
        .filter_map(|(package, _)| as_source(package))
        .collect()
}

/// The names that the index and the origins have.
struct Known<'a> {
    index: &'a PackageIndex,
    made: FxHashSet<&'a str>,
    provided: FxHashSet<String>,
}

impl<'a> Known<'a> {
    fn new(index: &'a PackageIndex, origins: &'a [Arc<SourcePackage>]) -> Self {
        let packages = || origins.iter().flat_map(|origin| origin.packages());
        let made = packages().map(|package| package.pkgname().as_str());
        let provided = packages().flat_map(|package| package.provides_lines());
        let provided = provided.map(|line| Relation::split(line.value).name.to_owned());
        Self {
            index,
            made: made.collect(),
            provided: provided.collect(),
        }
    }

    fn providers(&self, name: &str) -> &[Provider] {
        let tables = &self.index.tables;
        let number = tables.names.get(name);
        let providers = number.and_then(|number| tables.providers.get(number as usize));
        providers.map(Vec::as_slice).unwrap_or_default()
    }

    fn makes(&self, name: &str) -> bool {
        let mut known = self.providers(name).iter();
        self.made.contains(name) || known.any(|provider| provider.provision == OWN_NAME)
    }

    fn has(&self, name: &str) -> bool {
        !self.providers(name).is_empty() || self.made.contains(name) || self.provided.contains(name)
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
