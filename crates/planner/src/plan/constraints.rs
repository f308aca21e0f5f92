//! Version constraints that the new versions of a plan's packages no longer meet.

use buildbtw_model::{Architecture, PackageVersion, Pkgbase};
use rustc_hash::{FxHashMap, FxHashSet};

use super::problem::{Problem, ProblemKind};
use crate::budget::Budget;
use crate::index::{OWN_NAME, PackageIndex};
use crate::relation::{Comparison, Relation};
use crate::srcinfo::{Package, SourcePackage};

/// A package of a plan with its new version.
#[derive(Clone, Copy, Debug)]
pub struct VersionedPackage<'a> {
    /// The package in the index or, for an origin, in its changeset.
    pub package: &'a SourcePackage,
    /// The version that its build gets. Of several builds of a package, the last one counts.
    pub version: &'a PackageVersion,
}

/// A package or provision that a build offers under a name.
struct Offer<'a> {
    pkgbase: &'a Pkgbase,
    /// The versions before and after the release bump; `None` for a provision without a version.
    versions: Option<(&'a str, &'a str)>,
}

/// Returns the dependencies that the packages meet with their current versions, but not with those of the plan. For
/// packages of the index that are not built, only run-time dependencies are checked.
///
/// # Errors
/// Fails when the budget is exceeded: a relation is compared with everything that is offered under its name.
pub fn unmet_constraints<B: Budget>(
    index: &PackageIndex,
    built: &[VersionedPackage<'_>],
    architecture: &Architecture,
    budget: &B,
) -> Result<Vec<Problem>, B::Over> {
    let last = last_builds(built);
    let is_built: FxHashSet<&Pkgbase> = last.iter().map(|built| built.package.pkgbase()).collect();
    let offers = offers(&last, architecture, budget)?;
    let mut unmet = Vec::new();
    for built in &last {
        let package = built.package;
        let mut relations = package.build_dependencies(architecture);
        let packages = packages_for(package, architecture);
        relations.extend(packages.flat_map(|package| package.depends(architecture)));
        let versions = (package.version().as_str(), built.version.as_str());
        for relation in relations {
            budget.check()?;
            unmet.extend(problem(
                &offers,
                relation,
                package.pkgbase(),
                Some(versions),
            ));
        }
    }
    for &name in offers.keys() {
        for (relation, package) in users(index, name, architecture) {
            budget.check()?;
            if !is_built.contains(package.pkgbase()) {
                unmet.extend(problem(&offers, relation, package.pkgbase(), None));
            }
        }
    }
    let mut problems = Vec::new();
    for (relation, problem) in unmet {
        budget.check()?;
        if !is_satisfied_outside(index, &is_built, relation, architecture) {
            problems.push(problem);
        }
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// Returns the last build of each package, in the order of the first builds, so that always the same one of several
/// causes is reported.
pub(super) fn last_builds<'b, 'a>(
    built: &'b [VersionedPackage<'a>],
) -> Vec<&'b VersionedPackage<'a>> {
    let mut place: FxHashMap<&Pkgbase, usize> = FxHashMap::default();
    let mut last: Vec<&VersionedPackage<'_>> = Vec::new();
    for built in built {
        let at = *place.entry(built.package.pkgbase()).or_insert(last.len());
        match last.get_mut(at) {
            Some(earlier) => *earlier = built,
            None => last.push(built),
        }
    }
    last
}

/// Returns the packages that a build for an architecture produces.
pub(super) fn packages_for<'a>(
    source: &'a SourcePackage,
    architecture: &Architecture,
) -> impl Iterator<Item = Package<'a>> {
    source.packages().filter(|package| {
        let mut names = package.architecture_names();
        names.any(|name| name == "any" || name == architecture.as_str())
    })
}

fn offers<'a, B: Budget>(
    built: &[&'a VersionedPackage<'a>],
    architecture: &Architecture,
    budget: &B,
) -> Result<FxHashMap<&'a str, Vec<Offer<'a>>>, B::Over> {
    let mut offers: FxHashMap<&str, Vec<Offer<'_>>> = FxHashMap::default();
    for VersionedPackage { package, version } in built {
        budget.check()?;
        let pkgbase = package.pkgbase();
        let (old, new) = (package.version().as_str(), version.as_str());
        for produced in packages_for(package, architecture) {
            let own = offers.entry(produced.pkgname().as_str()).or_default();
            own.push(Offer {
                pkgbase,
                versions: Some((old, new)),
            });
            for provision in produced.provides(architecture) {
                let provision = Relation::split(provision);
                // A provision with the package's own version changes with it.
                let versions = (provision.comparison == Comparison::Equal).then(|| {
                    let follows = provision.version == old;
                    (
                        provision.version,
                        if follows { new } else { provision.version },
                    )
                });
                let own = offers.entry(provision.name).or_default();
                own.push(Offer { pkgbase, versions });
            }
        }
    }
    Ok(offers)
}

/// Returns the problem with a relation of a package, if there is one. `own` are the package's own versions.
fn problem<'a>(
    offers: &FxHashMap<&str, Vec<Offer<'_>>>,
    relation: &'a str,
    pkgbase: &Pkgbase,
    own: Option<(&str, &str)>,
) -> Option<(&'a str, Problem)> {
    let split = Relation::split(relation);
    if split.comparison == Comparison::Any {
        return None;
    }
    let offers = offers.get(split.name)?;
    let mut was_met = None;
    for offer in offers {
        let (before, after) = offer.versions.unzip();
        if split.is_met_by(after) || offer.pkgbase == pkgbase {
            // Relations between packages of one PKGBUILD change with its version.
            return None;
        }
        // Those between two PKGBUILDs with the same version may do so, too: only bash can tell.
        if let Some((old, new)) = own
            && split.version == old
            && (Relation {
                version: new,
                ..split
            })
            .is_met_by(after)
        {
            return None;
        }
        if split.is_met_by(before) {
            was_met = was_met.or(Some(offer));
        }
    }
    let offer = was_met?;
    let (before, after) = offer.versions?;
    let (whose, outside) = (offer.pkgbase, own.is_none());
    let outside = if outside { ", outside the rebuild" } else { "" };
    let problem = Problem {
        pkgbase: pkgbase.clone(),
        kind: ProblemKind::ConstraintNoLongerMet,
        message: format!(
            "constraint no longer met: {relation}{outside} (met by {whose} {before}, but not by the \
             planned {after})"
        ),
    };
    Some((relation, problem))
}

/// Returns the constraints on a name with the packages that have them as run-time dependencies.
fn users<'a>(
    index: &'a PackageIndex,
    name: &str,
    architecture: &'a Architecture,
) -> impl Iterator<Item = (&'a str, &'a SourcePackage)> {
    let tables = &index.tables;
    let filter = tables.for_architecture(architecture);
    let name = tables.names.get(name);
    let relations = name.and_then(|name| tables.relations_of.get(name as usize));
    let relations = relations.into_iter().flatten().copied();
    let constraints =
        relations.filter(|&relation| !tables.plain_relations.contains(relation as usize));
    let users = constraints.flat_map(|relation| {
        let users = tables.users[relation as usize].nodes.iter();
        users.map(move |user| (relation, user))
    });
    users.filter_map(move |(relation, user)| {
        let node = &index.nodes[user.id as usize];
        if !filter.matches(node.architectures) || !filter.applies(user.architecture) {
            return None;
        }
        let record = index.base(node.base)?;
        Some((tables.relations.text(relation), &*record.source))
    })
}

/// Returns whether a package that is not built meets a relation.
fn is_satisfied_outside(
    index: &PackageIndex,
    built: &FxHashSet<&Pkgbase>,
    relation: &str,
    architecture: &Architecture,
) -> bool {
    let tables = &index.tables;
    let relation = Relation::split(relation);
    let Some(name) = tables.names.get(relation.name) else {
        return false;
    };
    let filter = tables.for_architecture(architecture);
    tables.providers[name as usize].iter().any(|provider| {
        let node = &index.nodes[provider.node as usize];
        if !filter.matches(node.architectures) || !filter.applies(provider.architecture) {
            return false;
        }
        let Some(record) = index.base(node.base) else {
            return false;
        };
        if built.contains(record.source.pkgbase()) {
            return false;
        }
        if provider.provision == OWN_NAME {
            return relation.is_met_by(Some(record.source.version().as_str()));
        }
        let provision = Relation::split(tables.relations.text(provider.provision));
        let is_versioned = provision.comparison == Comparison::Equal;
        relation.is_met_by(is_versioned.then_some(provision.version))
    })
}
