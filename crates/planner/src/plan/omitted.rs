//! The dependencies that bootstrap builds omit.

use rustc_hash::FxHashSet;

use super::assembly::Assembly;
use super::context::PlanContext;
use super::cycles::is_omitted;

/// Returns the relations of a member that lead into its cycle and that a bootstrap build omits.
pub(super) fn omitted<B>(
    context: &PlanContext<'_, '_>,
    assembly: &Assembly<'_, B>,
    member: u32,
) -> Vec<u32> {
    let world = context.world;
    let base = context.members.bases.get(member as usize);
    let Some(record) = base.and_then(|&base| world.base(base)) else {
        return Vec::new();
    };
    let Some(installs) = assembly.omitted.get(&member) else {
        return Vec::new();
    };
    let packages: FxHashSet<u32> = installs
        .iter()
        .map(|&install| assembly.graph.install(install).package)
        .collect();
    let leads_in = |relation: u32| {
        let mut providers = world.installed(relation).iter();
        providers.any(|package| packages.contains(package))
    };
    world
        .applicable(&record.build)
        .filter(|used| is_omitted(used.kind) && leads_in(used.relation))
        .map(|used| used.relation)
        .collect()
}
