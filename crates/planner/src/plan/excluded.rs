//! Packages that are not rebuilt, because of a pattern or the scope, although they need a library whose soname the plan
//! changes. They break when the new library is installed.

use std::collections::BTreeMap;

use buildbtw_model::{PackageVersion, Pkgbase};
use rustc_hash::{FxHashMap, FxHashSet};

use super::context::PlanContext;
use super::members::OUTSIDE;
use super::problem::{Problem, ProblemKind};
use crate::base::BasePackage;
use crate::budget::Budget;
use crate::relation::{Comparison, Relation, is_soname, soname_generation};
use crate::sonames::{Soname, Sonames};

/// The maximum number of problems per plan. The rest is only counted.
const MAX_PROBLEMS: usize = 20;

/// A library of an old package that the new version of the package is not expected to contain.
struct Lost<'p> {
    /// How built packages depend on it: `libfoo.so=1-64`. `None` if they do not declare it.
    relation: Option<&'p str>,
    soname: Option<Soname>,
    /// The name of the package, and its versions.
    package: &'p str,
    old: &'p PackageVersion,
    new: &'p PackageVersion,
    /// Whether the new package declares another soname. Otherwise its version suggests it.
    is_certain: bool,
}

/// The version of a package before the rebuild, with what it provides.
struct OldPackage<'p> {
    version: &'p PackageVersion,
    provides: Vec<&'p str>,
}

/// The packages that keep an old library, with its name, and the position of the library.
type Keepers = BTreeMap<(Pkgbase, String), usize>;

/// Returns the problems of packages that keep an old soname.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn problems<B: Budget>(
    context: &PlanContext<'_, '_>,
    budget: &B,
) -> Result<Vec<Problem>, B::Over> {
    let lost = lost_libraries(context, budget)?;
    let mut keepers = Keepers::new();
    if !lost.is_empty() {
        find_in_base(context, &lost, &mut keepers, budget)?;
        find_in_sources(context, &lost, &mut keepers, budget)?;
        find_links(context, &lost, &mut keepers, budget)?;
    }
    let rest = keepers.len().saturating_sub(MAX_PROBLEMS);
    let shown = keepers.len() - rest;
    let problems = (1..).zip(keepers).take(shown);
    Ok(problems
        .map(|(number, ((pkgbase, library), at))| {
            let mut message = message(context, &pkgbase, &library, &lost[at]);
            if number == shown && rest > 0 {
                message.push_str(&format!(" (and {rest} similar problems)"));
            }
            Problem {
                pkgbase,
                kind: ProblemKind::KeepsOldSoname,
                message,
            }
        })
        .collect())
}

fn message(
    context: &PlanContext<'_, '_>,
    pkgbase: &Pkgbase,
    library: &str,
    lost: &Lost<'_>,
) -> String {
    let request = context.request;
    let why = if request.exclude.matches(pkgbase) {
        "excluded by a pattern".to_owned()
    } else {
        format!("not rebuilt with scope {}", request.scope)
    };
    let Lost {
        package, old, new, ..
    } = lost;
    let breaks = if lost.is_certain {
        format!("it breaks when {package} {new} is installed")
    } else {
        format!("it breaks if {package} {new} changes the soname, as its version suggests")
    };
    format!("{why}, and needs {library} of {package} {old}: {breaks}")
}

/// Returns the libraries that the new packages of members are not expected to contain.
fn lost_libraries<'p, B: Budget>(
    context: &PlanContext<'p, '_>,
    budget: &B,
) -> Result<Vec<Lost<'p>>, B::Over> {
    let world = context.world;
    let mut lost = Vec::new();
    for &base in &context.members.bases {
        budget.check()?;
        let Some(record) = world.base(base) else {
            continue;
        };
        for package in world.packages_of(record) {
            add_lost(context, base, package, record.source.version(), &mut lost);
        }
    }
    Ok(lost)
}

/// Adds the libraries that a package in its new version is not expected to contain.
fn add_lost<'p>(
    context: &PlanContext<'p, '_>,
    base: u32,
    package: u32,
    new: &'p PackageVersion,
    lost: &mut Vec<Lost<'p>>,
) {
    let world = context.world;
    let node = world.node(package);
    let name: &'p str = world.name_text(node.name);
    let olds = old_packages(context, base, node.name);
    let provided = world.applicable(&node.provides);
    let provided: Vec<Relation<'_>> = provided
        .map(|used| Relation::split(world.relation_text(used.relation)))
        .collect();
    let mut declared = FxHashSet::default();
    for old in &olds {
        let changes = changes_soname(context, old.version, new);
        for &relation in &old.provides {
            declared.extend(Soname::of_relation(relation));
            if let Some(is_certain) = is_lost(relation, &provided, changes)
                && !is_provided_elsewhere(context, relation, name)
            {
                lost.push(Lost {
                    relation: Some(relation),
                    soname: Soname::of_relation(relation),
                    package: name,
                    old: old.version,
                    new,
                    is_certain,
                });
            }
        }
    }
    if let Some(sonames) = context.request.sonames
        && let Some(old) = olds.first()
        && changes_soname(context, old.version, new)
    {
        let undeclared = undeclared(sonames, name, &declared).into_iter();
        lost.extend(undeclared.map(|soname| Lost {
            relation: None,
            soname: Some(soname.clone()),
            package: name,
            old: old.version,
            new,
            is_certain: false,
        }));
    }
}

/// Returns the old versions of a member's package, with what they provide: the one in base, and the one that an origin
/// replaces.
fn old_packages<'p>(context: &PlanContext<'p, '_>, base: u32, name: u32) -> Vec<OldPackage<'p>> {
    let world = context.world;
    let mut found = Vec::new();
    if let Some(index) = context.request.base
        && let Some((_, old)) = index.named(world.name_text(name)).next()
    {
        found.push(OldPackage {
            version: &old.version,
            provides: old.provides.iter().map(|text| &**text).collect(),
        });
    }
    if let Some(record) = world.old_version(base) {
        let mut packages = world.packages_of(record);
        if let Some(package) = packages.find(|&package| world.node(package).name == name) {
            let provides = world.applicable(&world.node(package).provides);
            let provides = provides.map(|used| world.relation_text(used.relation));
            found.push(OldPackage {
                version: record.source.version(),
                provides: provides.collect(),
            });
        }
    }
    found
}

/// Returns whether a library's soname is expected to change between two versions, as for the environments of cycles.
fn changes_soname(
    context: &PlanContext<'_, '_>,
    old: &PackageVersion,
    new: &PackageVersion,
) -> bool {
    let (old, new) = (old.without_pkgrel(), new.without_pkgrel());
    !context.request.keeps_sonames && soname_generation(old) != soname_generation(new)
}

/// Returns whether the new package does not have a library of the old one: `Some(true)` if it declares another soname,
/// `Some(false)` if it is only expected.
fn is_lost(relation: &str, provided: &[Relation<'_>], changes: bool) -> Option<bool> {
    let old = Relation::split(relation);
    // A bare `libfoo.so` does not say which soname it is.
    let is_bare = old.comparison == Comparison::Any && old.name.ends_with(".so");
    if is_bare || !is_soname(old.name) {
        return None;
    }
    let same_name = provided.iter().filter(|new| new.name == old.name);
    let mut numbers = same_name
        .filter(|new| new.comparison == Comparison::Equal)
        .map(|new| new.version)
        .peekable();
    if numbers.peek().is_some() {
        return numbers
            .all(|version| version != old.version)
            .then_some(true);
    }
    changes.then_some(false)
}

/// Returns whether a package of base with another name also has a library, for example a compatibility package.
fn is_provided_elsewhere(context: &PlanContext<'_, '_>, relation: &str, package: &str) -> bool {
    let Some(base) = context.request.base else {
        return false;
    };
    let wanted = Relation::split(relation);
    base.provided(wanted.name)
        .any(|(_, other)| other.name.as_str() != package && other.provides_for(&wanted))
}

/// Returns the libraries of a package that others link and that the package does not declare.
fn undeclared<'p>(
    sonames: &'p Sonames,
    package: &str,
    declared: &FxHashSet<Soname>,
) -> FxHashSet<&'p Soname> {
    let linked = sonames.linked_by(package).map(|(soname, _)| soname);
    linked
        .filter(|soname| !declared.contains(*soname))
        .collect()
}

/// Returns whether the plan builds a package.
fn is_rebuilt(context: &PlanContext<'_, '_>, pkgname: &str) -> bool {
    let world = context.world;
    let number = world.name_number(pkgname);
    let mut packages = number.into_iter().flat_map(|name| world.named(name));
    packages.any(|package| context.members.member_of[world.base_of(package) as usize] != OUTSIDE)
}

/// Returns the name of a lost library for people.
fn library(lost: &Lost<'_>) -> String {
    match (&lost.soname, lost.relation) {
        (Some(soname), _) => soname.name.to_string(),
        (None, relation) => relation.unwrap_or_default().to_owned(),
    }
}

/// Finds packages of base that depend on a lost library.
fn find_in_base<B: Budget>(
    context: &PlanContext<'_, '_>,
    lost: &[Lost<'_>],
    keepers: &mut Keepers,
    budget: &B,
) -> Result<(), B::Over> {
    let Some(base) = context.request.base else {
        return Ok(());
    };
    let declared = lost.iter().enumerate();
    let at_relation: FxHashMap<&str, usize> = declared
        .filter_map(|(at, lost)| Some((lost.relation?, at)))
        .collect();
    for package in base.packages() {
        budget.check()?;
        let name = package.name.as_str();
        let depends = package.depends.iter();
        let mut found = depends
            .filter_map(|relation| at_relation.get(&**relation).copied())
            .peekable();
        // pacman uses the first of several packages with the same name.
        let is_first = || {
            let first = base.named(name).next();
            first.is_some_and(|(_, first)| std::ptr::eq(first, package))
        };
        if found.peek().is_none() || !is_first() || is_rebuilt(context, name) {
            continue;
        }
        let Some(pkgbase) = source_of(package) else {
            continue;
        };
        for at in found {
            keepers
                .entry((pkgbase.clone(), library(&lost[at])))
                .or_insert(at);
        }
    }
    Ok(())
}

/// Finds source packages that depend on a lost library.
fn find_in_sources<B: Budget>(
    context: &PlanContext<'_, '_>,
    lost: &[Lost<'_>],
    keepers: &mut Keepers,
    budget: &B,
) -> Result<(), B::Over> {
    let world = context.world;
    for (at, lost) in lost.iter().enumerate() {
        budget.check()?;
        let Some(text) = lost.relation else {
            continue;
        };
        let name = world.name_number(Relation::split(text).name);
        let relations = name.into_iter().flat_map(|name| world.relations_of(name));
        let relations = relations.filter(|&relation| world.relation_text(relation) == text);
        let users = relations.flat_map(|relation| world.users(relation));
        for user in users.flat_map(|users| &users.nodes) {
            if !world.applies(user.architecture) || !world.fits(user.id) || world.is_old(user.id) {
                continue;
            }
            let base = world.base_of(user.id);
            if context.members.member_of[base as usize] == OUTSIDE
                && let Some(record) = world.base(base)
            {
                let pkgbase = record.source.pkgbase().clone();
                keepers.entry((pkgbase, library(lost))).or_insert(at);
            }
        }
    }
    Ok(())
}

/// Finds packages that link a lost library without declaring it.
fn find_links<B: Budget>(
    context: &PlanContext<'_, '_>,
    lost: &[Lost<'_>],
    keepers: &mut Keepers,
    budget: &B,
) -> Result<(), B::Over> {
    let Some(sonames) = context.request.sonames else {
        return Ok(());
    };
    for (at, lost) in lost.iter().enumerate() {
        budget.check()?;
        let Some(soname) = &lost.soname else {
            continue;
        };
        for (linked, user) in sonames.linked_by(lost.package) {
            if linked != soname || is_rebuilt(context, user) {
                continue;
            }
            if let Some(pkgbase) = producer(context, user) {
                keepers.entry((pkgbase, library(lost))).or_insert(at);
            }
        }
    }
    Ok(())
}

/// Returns the source package of a package, from the sources or from base.
fn producer(context: &PlanContext<'_, '_>, pkgname: &str) -> Option<Pkgbase> {
    let world = context.world;
    let number = world.name_number(pkgname);
    let mut packages = number.into_iter().flat_map(|name| world.named(name));
    if let Some(package) = packages.next() {
        let record = world.base(world.base_of(package))?;
        return Some(record.source.pkgbase().clone());
    }
    let (_, package) = context.request.base?.named(pkgname).next()?;
    source_of(package)
}

/// Returns the source package of a package of base, which usually has its name if the repository does not record it.
fn source_of(package: &BasePackage) -> Option<Pkgbase> {
    let recorded = package.pkgbase.clone();
    recorded.or_else(|| package.name.as_str().parse().ok())
}
