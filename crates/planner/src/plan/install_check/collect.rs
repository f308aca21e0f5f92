//! Collects what the environments of builds can contain.

use buildbtw_model::Architecture;
use petgraph::visit::{Dfs, Reversed, Visitable};

use super::items::{Dependency, Item, Requirement, Satisfier};
use super::pool::Pool;
use crate::base::BaseIndex;
use crate::budget::Budget;
use crate::index::number;
use crate::plan::context::PlanContext;
use crate::relation::Relation;
use crate::sparse::{Rows, SparseGraph};

/// Architectures with 32-bit libraries.
const OF_32_BITS: &[&str] = &["arm", "armv6h", "armv7h", "i486", "i686", "pentium4"];

/// Returns whether a package with this name is for 32-bit programs.
fn is_of_32_bits(name: &str, architecture: &Architecture) -> bool {
    name.starts_with("lib32-") || OF_32_BITS.contains(&architecture.as_str())
}

impl<'e, 'i> Pool<'e, 'i> {
    /// Collects what the environments of the members' builds may contain.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        context: &'e PlanContext<'e, 'i>,
        base: &'e BaseIndex,
        members: &[u32],
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut pool = Self::empty(context, base);
        if members.is_empty() {
            return Ok(pool);
        }
        pool.add_members();
        for &member in members {
            budget.check()?;
            pool.add_build(member);
        }
        let mut at = 0;
        // Entries that are found in this loop are appended.
        while at < pool.entries.len() {
            budget.check()?;
            let dependencies = pool.dependencies(pool.entries[at].item);
            pool.entries[at].dependencies = dependencies;
            at += 1;
        }
        pool.mark_risky();
        Ok(pool)
    }

    fn add_members(&mut self) {
        let world = self.context.world;
        let bases = self.context.members.bases.iter();
        for record in bases.filter_map(|&base| world.base(base)) {
            for package in world.packages_of(record) {
                let node = world.node(package);
                let name: &str = world.name_text(node.name);
                self.new_by_name.entry(name).or_default().push(package);
                for used in world.applicable(&node.provides) {
                    let name = Relation::split(world.relation_text(used.relation)).name;
                    let list = self.new_by_provision.entry(name).or_default();
                    if list.last() != Some(&package) {
                        list.push(package);
                    }
                }
            }
        }
    }

    fn add_build(&mut self, member: u32) {
        let world = self.context.world;
        let Some(record) = world.base(self.context.members.bases[member as usize]) else {
            return;
        };
        let architecture = &self.context.request.architecture;
        let is_32 = is_of_32_bits(record.source.pkgbase().as_str(), architecture);
        let uses = world.applicable(&record.build);
        let requirements = uses.map(|used| self.listed(used.relation, is_32)).collect();
        self.builds.insert(member, requirements);
    }

    /// Returns the dependencies of a package.
    fn dependencies(&mut self, item: Item) -> Vec<Dependency> {
        let (world, base) = (self.context.world, self.base);
        match item {
            Item::New(package) => {
                let node = world.node(package);
                let architecture = &self.context.request.architecture;
                let is_32 = is_of_32_bits(world.name_text(node.name), architecture);
                let uses = world.applicable(&node.depends);
                uses.map(|used| {
                    let text = world.relation_text(used.relation);
                    let before = self.old_sonames(package, text, is_32);
                    let before = before.iter().map(|text| self.literal(text));
                    let mut before: Vec<u32> = before.collect();
                    before.retain(|&requirement| !self.requirements[requirement as usize].is_safe);
                    Dependency {
                        requirement: self.listed(used.relation, is_32),
                        before,
                    }
                })
                .collect()
            }
            Item::Base(at) => {
                let depends = base.get(at).map(|package| &*package.depends);
                let depends = depends.unwrap_or_default().iter();
                depends
                    .map(|text| Dependency {
                        requirement: self.literal(text),
                        before: Vec::new(),
                    })
                    .collect()
            }
        }
    }

    /// Returns the requirement for a relation of an `.SRCINFO`, for 32-bit or 64-bit packages.
    fn listed(&mut self, relation: u32, is_32: bool) -> u32 {
        if let Some(&known) = self.listed.get(&(relation, is_32)) {
            return known;
        }
        let text = self.context.world.relation_text(relation);
        let satisfiers = self.satisfiers(text, false, is_32);
        let requirement = self.add_requirement(text, Some(relation), satisfiers);
        self.listed.insert((relation, is_32), requirement);
        requirement
    }

    /// Returns the requirement for a relation of a built package.
    fn literal(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.literal.get(text) {
            return known;
        }
        let satisfiers = self.satisfiers(text, true, false);
        let requirement = self.add_requirement(text, None, satisfiers);
        self.literal.insert(text.into(), requirement);
        requirement
    }

    fn add_requirement(
        &mut self,
        text: &str,
        relation: Option<u32>,
        satisfiers: Vec<Satisfier>,
    ) -> u32 {
        let is_safe = self.is_safe(&satisfiers);
        self.requirements.push(Requirement {
            text: text.into(),
            relation,
            satisfiers,
            is_safe,
        });
        number(self.requirements.len() - 1)
    }

    /// Marks the packages whose dependencies might not be satisfied, and those that may pull them in.
    fn mark_risky(&mut self) {
        let mut needs = Rows::new();
        let mut unsatisfied = Vec::new();
        for (at, entry) in (0..).zip(&self.entries) {
            let requirements = entry.dependencies.iter().flat_map(|dependency| {
                let before = dependency.before.iter();
                before.chain([&dependency.requirement])
            });
            for requirement in
                requirements.map(|&requirement| &self.requirements[requirement as usize])
            {
                if !requirement.is_safe {
                    unsatisfied.push(at);
                }
                for satisfier in &requirement.satisfiers {
                    needs.push(satisfier.entry);
                }
            }
            needs.end_row();
        }
        let graph = SparseGraph::new(needs);
        let mut search = Dfs::from_parts(unsatisfied, graph.visit_map());
        while let Some(entry) = search.next(Reversed(&graph)) {
            self.entries[entry as usize].is_risky = true;
        }
    }
}
