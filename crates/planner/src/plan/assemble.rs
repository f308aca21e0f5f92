//! Converts the graph to builds: the components in order, each build with the builds it waits for.

use fixedbitset::FixedBitSet;

use super::assembly::Assembly;
use super::cycles;
use super::graph::Graph;
use crate::budget::Budget;
use crate::index::number;

/// Orders all builds.
///
/// # Errors
/// Fails when the budget is exceeded.
pub(super) fn assemble<'g, B: Budget>(
    graph: &'g Graph,
    bootstrap: FixedBitSet,
    budget: &'g B,
) -> Result<Assembly<'g, B>, B::Over> {
    let mut assembly = Assembly::new(graph, bootstrap, budget);
    let mut members = Vec::new();
    for component in 0..number(assembly.components.len()) {
        budget.check()?;
        assembly.starts.push(assembly.drafts.len());
        assembly.find_members(component, &mut members);
        match *members.as_slice() {
            [] => {}
            [member] => assembly.add_simple(member),
            _ => cycles::add(&mut assembly, component, &members)?,
        }
    }
    Ok(assembly)
}

impl<B: Budget> Assembly<'_, B> {
    /// Orders the builds of a cycle again with changed bootstrap builds. Discards the builds of all later components.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn reorder_cycle(&mut self, component: u32) -> Result<(), B::Over> {
        let members = self.members(component);
        self.drafts.truncate(self.starts[component as usize]);
        self.solved.remove(&component);
        for member in &members {
            self.omitted.remove(member);
        }
        cycles::add(self, component, &members)
    }
}
