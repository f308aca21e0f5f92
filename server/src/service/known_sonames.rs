//! Who links which library, for plans: as packages told that were built here, and as base repositories
//! list it.
//!
//! Of a package that was built several times, what it links is taken from the version that base has, else from
//! the last one. What it has counts from every version: whoever links an old one has to be rebuilt still. Of
//! packages that were never built here nothing is known but the libraries that base lists as provided and
//! needed; databases with lists of files tell names of files, not who links them.

use std::collections::BTreeSet;

use buildbtw_package::Sonames as Linked;
use buildbtw_planner::{Soname, Sonames};

use crate::db::linked_packages::LinkedPackage;
use crate::repos::base::BaseSnapshot;

/// Puts together what is known. `packages` holds the versions of each package one after the other, the
/// last accepted one first.
pub(crate) fn known(packages: &[LinkedPackage], base: &BaseSnapshot) -> Sonames {
    let mut known = Sonames::default();
    for versions in packages.chunk_by(|a, b| a.pkgname == b.pkgname) {
        let is_in_base = |package: &&LinkedPackage| {
            let listed = base.versions.get(&package.pkgname);
            listed.is_some_and(|listed| listed.contains(&package.version))
        };
        let current = versions.iter().find(is_in_base).or(versions.first());
        let mut has = BTreeSet::new();
        for package in versions {
            let Ok(linked) = package.sonames.parse::<Linked>() else {
                tracing::warn!(
                    package.name = package.pkgname.as_str(),
                    "cannot read the stored list of libraries"
                );
                continue;
            };
            if current.is_some_and(|current| current.version == package.version) {
                for soname in &linked.links {
                    known.add_link(package.pkgname.as_str(), &converted(soname));
                }
            }
            has.extend(linked.has.iter().map(converted));
        }
        for soname in has {
            if let Some(package) = current {
                known.add_library(package.pkgname.as_str(), &soname);
            }
        }
    }
    for package in base.packages.packages() {
        let name = package.name.as_str();
        for relation in &package.provides {
            if let Some(soname) = Soname::of_relation(relation) {
                known.add_library(name, &soname);
            }
        }
        for relation in &package.depends {
            if let Some(soname) = Soname::of_relation(relation) {
                known.add_link(name, &soname);
            }
        }
    }
    known
}

fn converted(soname: &buildbtw_package::Soname) -> Soname {
    Soname {
        name: soname.name.as_str().into(),
        is_64_bit: soname.is_64_bit,
    }
}
