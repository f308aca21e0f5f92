//! Source packages that produce packages with the same name. Each version of such a package must come from only one of
//! them, and a repository lists one package per name.

use std::cmp::Ordering;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname};
use rustc_hash::{FxHashMap, FxHashSet};

use super::constraints::{VersionedPackage, last_builds};
use super::problem::{Problem, ProblemKind};
use crate::budget::Budget;
use crate::index::{OWN_NAME, PackageIndex};
use crate::srcinfo::SourcePackage;

/// The versions that the builds of a plan give their packages, by pkgname. Two source packages that produced the same
/// package in the same version would produce two files with the same name.
#[derive(Debug, Default)]
pub struct AssignedVersions(FxHashMap<Pkgname, Vec<(Pkgbase, PackageVersion)>>);

impl AssignedVersions {
    /// Compares builds in the order in which they get their versions: by descending pkgbase, then by stage. So of two
    /// source packages the first by name gets the higher release, and is the one that the repository lists.
    #[must_use]
    pub fn order(a: (&Pkgbase, u32), b: (&Pkgbase, u32)) -> Ordering {
        b.0.cmp(a.0).then(a.1.cmp(&b.1))
    }

    /// Returns the versions that other source packages give packages which this one also produces.
    #[must_use]
    pub fn of_others(
        &self,
        package: &SourcePackage,
        architecture: &Architecture,
    ) -> Vec<PackageVersion> {
        let names = package.pkgnames_for(architecture);
        let assigned = names.flat_map(|(name, _)| self.0.get(name).into_iter().flatten());
        assigned
            .filter(|(other, _)| other != package.pkgbase())
            .map(|(_, version)| version.clone())
            .collect()
    }

    /// Records the version that a build gives its packages.
    pub fn assign(
        &mut self,
        package: &SourcePackage,
        architecture: &Architecture,
        version: &PackageVersion,
    ) {
        for (name, _) in package.pkgnames_for(architecture) {
            let assigned = self.0.entry(name.clone()).or_default();
            assigned.push((package.pkgbase().clone(), version.clone()));
        }
    }
}

/// A source package that produces a package with some name.
struct Producer<'a> {
    pkgbase: &'a Pkgbase,
    version: &'a PackageVersion,
    is_built: bool,
}

/// Returns a problem for each package of the plan that another source package also produces.
///
/// # Errors
/// Fails when the budget is exceeded.
pub fn same_packages<B: Budget>(
    index: &PackageIndex,
    built: &[VersionedPackage<'_>],
    architecture: &Architecture,
    budget: &B,
) -> Result<Vec<Problem>, B::Over> {
    let last = last_builds(built);
    let is_built: FxHashSet<&Pkgbase> = last.iter().map(|built| built.package.pkgbase()).collect();
    let mut producers: FxHashMap<&Pkgname, Vec<Producer<'_>>> = FxHashMap::default();
    for built in &last {
        budget.check()?;
        for (name, _) in built.package.pkgnames_for(architecture) {
            producers.entry(name).or_default().push(Producer {
                pkgbase: built.package.pkgbase(),
                version: built.version,
                is_built: true,
            });
        }
    }
    let mut problems = Vec::new();
    for (name, mut producers) in producers {
        budget.check()?;
        let others = producers_in(index, name, architecture);
        producers.extend(others.filter(|other| !is_built.contains(other.pkgbase)));
        problems.extend(problem(name, producers));
    }
    problems.sort();
    Ok(problems)
}

/// Returns the source packages of the index that produce a package with this name.
fn producers_in<'a>(
    index: &'a PackageIndex,
    name: &Pkgname,
    architecture: &'a Architecture,
) -> impl Iterator<Item = Producer<'a>> {
    let tables = &index.tables;
    let filter = tables.for_architecture(architecture);
    let name = tables.names.get(name.as_str());
    let providers = name.and_then(|name| tables.providers.get(name as usize));
    let own = providers.into_iter().flatten();
    let own = own.filter(|provider| provider.provision == OWN_NAME);
    own.filter_map(move |provider| {
        let node = &index.nodes[provider.node as usize];
        let record = index
            .base(node.base)
            .filter(|_| filter.matches(node.architectures))?;
        Some(Producer {
            pkgbase: record.source.pkgbase(),
            version: record.source.version(),
            is_built: false,
        })
    })
}

fn problem(name: &Pkgname, mut producers: Vec<Producer<'_>>) -> Option<Problem> {
    producers.sort_unstable_by_key(|producer| producer.pkgbase);
    // A source package that lists a pkgname twice produces it once.
    producers.dedup_by_key(|producer| producer.pkgbase);
    if producers.len() < 2 {
        return None;
    }
    // Of several with the same version, the repository lists the first by name.
    let built = producers.iter().rev().filter(|producer| producer.is_built);
    let listed = built.max_by(|a, b| a.version.compare(b.version))?;
    let texts: Vec<String> = producers
        .iter()
        .map(|producer| format!("{} {}", producer.pkgbase, producer.version))
        .collect();
    Some(Problem {
        pkgbase: listed.pkgbase.clone(),
        kind: ProblemKind::SamePackage,
        message: format!(
            "several source packages produce {name}: {}; the repository lists the highest version that is \
             built, {} of {}",
            texts.join(", "),
            listed.version,
            listed.pkgbase,
        ),
    })
}
