//! Checks whether the environments of builds in cycles can be installed.
//!
//! A premature build sees the old version of what it needs, from the base repositories, with new versions of what has
//! already been built. pacman installs both only if the dependencies of the old one are still satisfied: an old program
//! that needs `libx.so=1-64` cannot be installed together with one that provides `libx.so=2-64`. The same is true of a
//! first stage that was built with the old library, for every build that installs it alongside the new library.
//!
//! A bare `libx.so` in a `PKGBUILD` gets its soname version when it is built; `satisfiers` predicts it.
//!
//! Most dependencies are satisfied whatever has been built. This is determined once (`pool`), and only those that might
//! not be satisfied are checked for each build.

mod collect;
mod items;
mod pool;
mod satisfiers;
mod transaction;
mod unmet;
mod walk;

use super::assembly::Assembly;
use super::context::PlanContext;
use super::drafts::Draft;
use super::omitted::omitted;
use crate::base::BaseIndex;
use crate::budget::Budget;
use crate::index::number;
use pool::Pool;
use transaction::{Holder, Transaction};
pub(super) use unmet::UnmetDependency;
use walk::Walk;

/// The environments of the builds in cycles.
pub(super) struct Environments<'e, 'i> {
    pool: Pool<'e, 'i>,
    walk: Walk,
}

impl<'e, 'i> Environments<'e, 'i> {
    /// Collects the packages that the builds of all cycles may install.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn new<B: Budget>(
        context: &'e PlanContext<'e, 'i>,
        base: &'e BaseIndex,
        assembly: &Assembly<'_, B>,
    ) -> Result<Self, B::Over> {
        let mut members: Vec<u32> = assembly.drafts.iter().map(|draft| draft.member).collect();
        members.retain(|&member| assembly.components.is_in_cycle(member));
        members.sort_unstable();
        members.dedup();
        let pool = Pool::new(context, base, &members, assembly.budget)?;
        let walk = Walk::new(context.members.bases.len(), pool.entries.len());
        Ok(Self { pool, walk })
    }

    /// Finds the unmet dependencies of the builds in all cycles.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn find_unmet<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
    ) -> Result<Vec<UnmetDependency>, B::Over> {
        self.walk.clear_builds();
        let mut unmet = Vec::new();
        for at in 0..assembly.drafts.len() {
            let member = assembly.drafts[at].member;
            if assembly.components.is_in_cycle(member) {
                unmet.extend(self.check(assembly, at)?);
            }
        }
        Ok(unmet)
    }

    /// Returns whether a build at or after a position has an unmet dependency that rules out the order.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(super) fn has_order_problem<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
        from: usize,
    ) -> Result<bool, B::Over> {
        self.walk.clear_builds();
        for at in from..assembly.drafts.len() {
            if self
                .check(assembly, at)?
                .iter()
                .any(UnmetDependency::rules_out_order)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Simulates the installation of a build's environment and returns the unmet dependencies.
    fn check<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
        at: usize,
    ) -> Result<Vec<UnmetDependency>, B::Over> {
        assembly.budget.check()?;
        let (pool, walk) = (&self.pool, &mut self.walk);
        let draft = &assembly.drafts[at];
        if !pool.is_risky(draft.member) {
            return Ok(Vec::new());
        }
        walk.start(&assembly.drafts, number(at));
        let without = if draft.is_bootstrap {
            omitted(pool.context, assembly, draft.member)
        } else {
            Vec::new()
        };
        let mut transaction = Transaction::new(pool, walk, draft.member, build_name(draft));
        for &requirement in pool.build(draft.member) {
            let relation = pool.requirements[requirement as usize].relation;
            if relation.is_none_or(|relation| !without.contains(&relation)) {
                transaction.follow(Holder::Build, requirement);
            }
        }
        while let Some(at) = transaction.next() {
            assembly.budget.check()?;
            let entry = &pool.entries[at as usize];
            for dependency in &entry.dependencies {
                if !dependency.before.is_empty()
                    && transaction.is_built_before(assembly, entry, dependency.requirement)
                {
                    for &requirement in &dependency.before {
                        transaction.follow(Holder::BuiltBefore(at), requirement);
                    }
                } else {
                    transaction.follow(Holder::Entry(at), dependency.requirement);
                }
            }
        }
        Ok(transaction.unmet)
    }
}

fn build_name(draft: &Draft) -> &'static str {
    match (draft.stage, draft.is_last_stage) {
        (1, true) => "its build",
        (1, false) => "its first build",
        _ => "its second build",
    }
}
