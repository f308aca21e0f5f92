//! The packages that lead to a member at run time. An environment that contains one of them contains the member, too.

use fixedbitset::FixedBitSet;

use super::members::Members;
use super::spread::{SpreadRules, linked_by, relations_met_by};
use crate::budget::Budget;
use crate::sonames::Sonames;
use crate::world::World;

/// All run-time dependencies.
const RULES: SpreadRules = SpreadRules {
    limit: u32::MAX,
    only_sonames: false,
    through_builds: false,
};

/// Returns the packages of the members, and those that lead to one at run time: a breadth-first search backwards. If
/// the search from the origins followed all run-time dependencies, what it found is not searched again.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn leading_to_members<B: Budget>(
    world: &mut World<'_>,
    members: &Members,
    sonames: Option<&Sonames>,
    budget: &B,
) -> Result<Vec<u32>, B::Over> {
    let reach = &members.reach;
    let mut found = FixedBitSet::with_capacity(world.node_count());
    let (mut packages, mut followed, mut at) = if members.is_exhaustive {
        let packages = reach.packages.clone();
        let count = packages.len();
        (packages, reach.followed.clone(), count)
    } else {
        // The old versions of origins are among the reached packages; they count as packages of a member.
        let reached = reach.packages.iter().copied();
        let old = reached.filter(|&package| world.is_old(package)).collect();
        (old, FixedBitSet::with_capacity(world.relation_count()), 0)
    };
    found.extend(packages.iter().map(|&package| package as usize));
    for record in members.bases.iter().filter_map(|&base| world.base(base)) {
        let own = world.packages_of(record);
        packages.extend(own.filter(|&package| !found.put(package as usize)));
    }
    let mut relations = Vec::new();
    while let Some(&package) = packages.get(at) {
        at += 1;
        budget.check()?;
        relations_met_by(world, package, RULES, &mut followed, &mut relations);
        let users = relations.iter().flat_map(|&relation| world.users(relation));
        let users = users.flat_map(|users| &users.nodes);
        let users = users.filter(|user| world.applies(user.architecture));
        let users = users.map(|user| user.id);
        let users = users.filter(|&user| world.fits(user) && !world.is_old(user));
        packages.extend(users.filter(|&user| !found.put(user as usize)));
        let users = linked_by(world, package, sonames).into_iter();
        packages.extend(users.filter(|&user| !found.put(user as usize)));
    }
    Ok(packages)
}
