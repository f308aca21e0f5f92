//! The versions that a plan gives its packages, and what they mean for the dependencies on them.

use std::collections::HashMap;
use std::sync::Arc;

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname, ReleaseRule, version_note};

use super::{Plan, Problem, ProblemKind};
use crate::index::{OWN_NAME, PackageIndex};
use crate::relation::{Comparison, Relation};
use crate::srcinfo::{Package, SourcePackage};

/// Kinds of sources whose newest state is built unless they are pinned.
const REPOSITORIES: &[&str] = &["bzr", "fossil", "git", "hg", "svn"];
/// What pins such a source.
const PINS: &[&str] = &["commit", "revision", "tag"];
/// What packages of such sources are called.
const SUFFIXES: &[&str] = &["-bzr", "-fossil", "-git", "-hg", "-svn"];

/// The version that a build gives its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedVersion {
    /// The version. One that is computed follows from what `.SRCINFO` says now.
    pub version: PackageVersion,
    /// Whether `pkgver()` may compute another one when it is built.
    pub is_computed: bool,
    /// How it is chosen.
    pub rule: ReleaseRule,
}

impl PlannedVersion {
    /// What people should know about it.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        version_note(self.is_computed, self.rule.newer_in_base(&self.version))
    }

    /// Why packages of this version would not replace those of the base repositories.
    #[must_use]
    pub fn problem(&self, pkgbase: &Pkgbase) -> Option<Problem> {
        if self.is_computed {
            return None;
        }
        let version = &self.version;
        let newer = self.rule.newer_in_base(version)?;
        let message = if self.rule.is_rebuild {
            format!(
                "{version} would not install over {newer} of the base repositories: its build fails"
            )
        } else {
            format!("{version} is {}", self.note()?)
        };
        Some(Problem {
            pkgbase: pkgbase.clone(),
            kind: ProblemKind::OlderThanBase,
            message,
        })
    }
}

/// Whether the version is likely to be computed by `pkgver()`, of which `.SRCINFO` says nothing: a
/// source is whatever a repository holds when it is built.
#[must_use]
pub fn computes_version(package: &SourcePackage, architecture: &Architecture) -> bool {
    let name = package.pkgbase().as_str();
    let is_named_so = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    package.sources(architecture).into_iter().any(|source| {
        let address = source
            .split_once("::")
            .map_or(source, |(_, address)| address);
        let Some((scheme, rest)) = address.split_once("://") else {
            return false;
        };
        let kind = scheme.split_once('+').map_or(scheme, |(kind, _)| kind);
        let fragment = rest.split_once('#').map_or("", |(_, fragment)| fragment);
        let pin = fragment.split_once('=').map_or("", |(kind, _)| kind);
        REPOSITORIES.contains(&kind) && (is_named_so || !PINS.contains(&pin))
    })
}

impl Plan {
    /// Adds the versions that the builds would have in a new namespace, and the problems that come
    /// with them. `base` tells what the base repositories hold of a package that a source package makes.
    /// Without `bump`, that raises no release.
    pub fn expect_versions(
        &mut self,
        index: &PackageIndex,
        origins: &[Arc<SourcePackage>],
        base: &dyn Fn(&Pkgbase, &Pkgname) -> Vec<PackageVersion>,
        bump: bool,
    ) {
        let mut packages = Vec::with_capacity(self.builds.len());
        let mut first_stages: HashMap<&Pkgbase, PackageVersion> = HashMap::new();
        let mut versions = Vec::with_capacity(self.builds.len());
        let mut changed: HashMap<&Pkgbase, &Arc<SourcePackage>> = HashMap::new();
        for origin in origins {
            changed.entry(origin.pkgbase()).or_insert(origin);
        }
        for build in &self.builds {
            let origin = changed.get(&build.pkgbase).copied();
            let Some(package) = origin.or_else(|| index.get(&build.pkgbase)) else {
                return;
            };
            let names = package.pkgnames_for(&self.architecture);
            let in_base = names.flat_map(|(name, _)| base(&build.pkgbase, name));
            let in_base: Vec<PackageVersion> = in_base.collect();
            let earlier = first_stages.get(&build.pkgbase).cloned();
            let mut rule = ReleaseRule {
                is_rebuild: bump && origin.is_none(),
                base: if bump { in_base.clone() } else { Vec::new() },
                earlier: earlier.into_iter().collect(),
            };
            let version = rule.version(package.version());
            // It decides nothing without a bump, and is worth knowing all the same.
            rule.base = in_base;
            first_stages.insert(&build.pkgbase, version.clone());
            versions.push(PlannedVersion {
                version,
                is_computed: computes_version(package, &self.architecture),
                rule,
            });
            packages.push(Arc::clone(package));
        }
        let built: Vec<BuiltPackage<'_>> = packages
            .iter()
            .zip(&versions)
            .map(|(package, version)| BuiltPackage {
                package,
                version: &version.version,
            })
            .collect();
        self.problems
            .extend(unmet_constraints(index, &built, &self.architecture));
        let problems = self.builds.iter().zip(&versions);
        self.problems
            .extend(problems.filter_map(|(build, version)| version.problem(&build.pkgbase)));
        self.problems.sort();
        self.problems.dedup();
        self.versions = versions;
    }

    /// The versions of the builds, in their order; none before [`Plan::expect_versions`].
    #[must_use]
    pub fn versions(&self) -> &[PlannedVersion] {
        &self.versions
    }
}

/// A package of a plan with the version that its build gives it.
#[derive(Clone, Copy, Debug)]
pub struct BuiltPackage<'a> {
    /// The package as it is in the index, or in its changeset.
    pub package: &'a SourcePackage,
    /// The version it gets. Of several builds of a package the last one counts.
    pub version: &'a PackageVersion,
}

/// Something that a built package offers under a name.
struct Offer<'a> {
    pkgbase: &'a Pkgbase,
    /// The version before the release is raised, and after; none for what has no version.
    versions: Option<(&'a str, &'a str)>,
}

/// Dependencies that the packages meet with the versions they have now, and not with those that the
/// plan gives them. Those of the index that are not built count with what they need at run time.
#[must_use]
pub fn unmet_constraints(
    index: &PackageIndex,
    built: &[BuiltPackage<'_>],
    architecture: &Architecture,
) -> Vec<Problem> {
    // In the order of the builds, so that of several causes the same one is always named.
    let mut place: HashMap<&Pkgbase, usize> = HashMap::new();
    let mut last: Vec<&BuiltPackage<'_>> = Vec::new();
    for built in built {
        let at = *place.entry(built.package.pkgbase()).or_insert(last.len());
        match last.get_mut(at) {
            Some(earlier) => *earlier = built,
            None => last.push(built),
        }
    }
    let offers = offers(&last, architecture);
    let mut problems = Vec::new();
    for built in &last {
        let package = built.package;
        let mut relations = package.build_dependencies(architecture);
        let packages = packages_for(package, architecture);
        relations.extend(packages.flat_map(|package| package.depends(architecture)));
        let versions = (package.version().as_str(), built.version.as_str());
        for relation in relations {
            problems.extend(unmet(&offers, relation, package.pkgbase(), Some(versions)));
        }
    }
    for &name in offers.keys() {
        for (relation, package) in users(index, name, architecture) {
            if !place.contains_key(package.pkgbase()) {
                problems.extend(unmet(&offers, relation, package.pkgbase(), None));
            }
        }
    }
    let outside = |relation| is_met_outside(index, &place, relation, architecture);
    problems.retain(|(relation, _)| !outside(relation));
    let mut problems: Vec<Problem> = problems.into_iter().map(|(_, problem)| problem).collect();
    problems.sort();
    problems.dedup();
    problems
}

/// The packages that a build for an architecture makes.
fn packages_for<'a>(
    source: &'a SourcePackage,
    architecture: &Architecture,
) -> impl Iterator<Item = Package<'a>> {
    source.packages().filter(|package| {
        let mut names = package.architecture_names();
        names.any(|name| name == "any" || name == architecture.as_str())
    })
}

fn offers<'a>(
    built: &[&'a BuiltPackage<'a>],
    architecture: &Architecture,
) -> HashMap<&'a str, Vec<Offer<'a>>> {
    let mut offers: HashMap<&str, Vec<Offer<'_>>> = HashMap::new();
    for BuiltPackage { package, version } in built {
        let pkgbase = package.pkgbase();
        let (old, new) = (package.version().as_str(), version.as_str());
        for made in packages_for(package, architecture) {
            let own = offers.entry(made.pkgname().as_str()).or_default();
            own.push(Offer {
                pkgbase,
                versions: Some((old, new)),
            });
            for provision in made.provides(architecture) {
                let provision = Relation::split(provision);
                // What is provided with the package's own version follows it.
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
    offers
}

/// The problem with a relation of a package, if there is one. `own` are the package's own versions.
fn unmet<'a>(
    offers: &HashMap<&str, Vec<Offer<'_>>>,
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
            // Packages of one PKGBUILD follow each other.
            return None;
        }
        // Two PKGBUILDs of the same version may do so, too: only bash knows.
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
    let outside = if outside {
        ", outside of the rebuild"
    } else {
        ""
    };
    let problem = Problem {
        pkgbase: pkgbase.clone(),
        kind: ProblemKind::ConstraintNoLongerMet,
        message: format!(
            "constraint no longer met: {relation}{outside} ({whose} {before} did, the planned {after} \
             does not)"
        ),
    };
    Some((relation, problem))
}

/// The constraints on a name, with the packages that have them at run time.
fn users<'a>(
    index: &'a PackageIndex,
    name: &str,
    architecture: &Architecture,
) -> Vec<(&'a str, &'a SourcePackage)> {
    let tables = &index.tables;
    let Some(name) = tables.names.get(name) else {
        return Vec::new();
    };
    let fits = tables.for_architecture(architecture);
    let mut found = Vec::new();
    for &relation in &tables.relations_of[name as usize] {
        if tables.relation_is_plain[relation as usize] {
            continue;
        }
        let text = tables.relations.text(relation);
        for user in &tables.users[relation as usize].nodes {
            let node = &index.nodes[user.id as usize];
            if !fits.has(node.architectures) || !fits.applies(user.architecture) {
                continue;
            }
            if let Some(record) = index.base(node.base) {
                found.push((text, &*record.source));
            }
        }
    }
    found
}

/// Whether a package that is not built meets a relation.
fn is_met_outside(
    index: &PackageIndex,
    built: &HashMap<&Pkgbase, usize>,
    relation: &str,
    architecture: &Architecture,
) -> bool {
    let tables = &index.tables;
    let relation = Relation::split(relation);
    let Some(name) = tables.names.get(relation.name) else {
        return false;
    };
    let fits = tables.for_architecture(architecture);
    tables.providers[name as usize].iter().any(|provider| {
        let node = &index.nodes[provider.node as usize];
        if !fits.has(node.architectures) || !fits.applies(provider.architecture) {
            return false;
        }
        let Some(record) = index.base(node.base) else {
            return false;
        };
        if built.contains_key(record.source.pkgbase()) {
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
