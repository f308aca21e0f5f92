//! The rebuild set: which source packages a plan builds.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::request::PlanRequest;
use super::spread::{Reach, SpreadRules, spread};
use crate::budget::Budget;
use crate::srcinfo::SourcePackage;
use crate::world::World;
use buildbtw_model::Scope;

/// Means a base that is not in the rebuild set.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// The rebuild set. Members are numbered in the order of their names.
pub(super) struct Members {
    /// The base of each member.
    pub(super) bases: Vec<u32>,
    /// The origins, which may have no packages for the architecture.
    pub(super) origins: Vec<u32>,
    /// For each base: its number as a member, or [`OUTSIDE`].
    pub(super) member_of: Vec<u32>,
    pub(super) rules: SpreadRules,
    pub(super) reach: Reach,
    /// Whether the search from the origins followed every run-time dependency on a package that it reached.
    pub(super) is_exhaustive: bool,
}

fn rules(scope: Scope) -> SpreadRules {
    let (limit, only_sonames, through_builds) = match scope {
        Scope::Origin => (0, false, false),
        Scope::Direct => (1, false, false),
        Scope::Soname => (u32::MAX, true, false),
        Scope::Transitive => (u32::MAX, false, false),
        Scope::All => (u32::MAX, false, true),
    };
    SpreadRules {
        limit,
        only_sonames,
        through_builds,
    }
}

/// Returns the packages of the origins' new and old versions.
fn seeds(world: &World<'_>, origins: &[u32]) -> Vec<u32> {
    let mut seeds = Vec::new();
    for &origin in origins {
        let versions = [world.base(origin), world.old_version(origin)];
        for base in versions.into_iter().flatten() {
            seeds.extend(world.packages_of(base));
        }
    }
    seeds
}

/// Returns the bases that the patterns include.
fn included(world: &World<'_>, request: &PlanRequest<'_>) -> Vec<u32> {
    if request.include.is_empty() {
        return Vec::new();
    }
    let matches = |source: &SourcePackage| {
        let pkgbase = source.pkgbase();
        request.include.matches(pkgbase) && !request.exclude.matches(pkgbase)
    };
    let all = world.bases();
    all.filter(|(_, record)| matches(&record.source))
        .map(|(id, _)| id)
        .collect()
}

/// Finds the members of the rebuild set.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn find<B: Budget>(
    world: &mut World<'_>,
    request: &PlanRequest<'_>,
    origins: &[Arc<SourcePackage>],
    budget: &B,
) -> Result<Members, B::Over> {
    let origin_bases: Vec<u32> = origins
        .iter()
        .filter_map(|origin| world.number_of(origin.pkgbase()))
        .collect();
    let seeds = seeds(world, &origin_bases);
    let mut allowed: Vec<Option<bool>> = vec![None; world.base_count()];
    let mut enter = |world: &World<'_>, base: u32| {
        request.exclude.is_empty()
            || *allowed[base as usize].get_or_insert_with(|| {
                origin_bases.contains(&base)
                    || world
                        .base(base)
                        .is_some_and(|base| !request.exclude.matches(base.source.pkgbase()))
            })
    };
    let rules = rules(request.scope);
    let sonames = request.sonames;
    let reach = spread(world, &seeds, rules, sonames, &mut enter, budget)?;

    let mut is_member = FixedBitSet::with_capacity(world.base_count());
    let mut bases = Vec::new();
    let reached = reach.packages.iter().map(|&package| world.base_of(package));
    let buildable = |base: u32| {
        let record = world.base(base).filter(|_| !world.is_outside(base));
        record.is_some_and(|record| world.packages_of(record).next().is_some())
    };
    for base in reached.chain(included(world, request)) {
        if !is_member.contains(base as usize) && buildable(base) {
            is_member.insert(base as usize);
            bases.push(base);
        }
    }
    sort_by_name(world, &mut bases);
    let mut member_of = vec![OUTSIDE; world.base_count()];
    for (member, &base) in (0..).zip(&bases) {
        member_of[base as usize] = member;
    }
    let is_exhaustive =
        request.exclude.is_empty() && matches!(request.scope, Scope::Transitive | Scope::All);
    Ok(Members {
        bases,
        origins: origin_bases,
        member_of,
        rules,
        reach,
        is_exhaustive,
    })
}

fn sort_by_name(world: &World<'_>, bases: &mut Vec<u32>) {
    let name = |base: u32| {
        world
            .base(base)
            .map(|record| record.source.pkgbase().as_str())
    };
    let mut named: Vec<(Option<&str>, u32)> =
        bases.iter().map(|&base| (name(base), base)).collect();
    named.sort_unstable();
    bases.clear();
    bases.extend(named.into_iter().map(|(_, base)| base));
}
