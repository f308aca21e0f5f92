//! Whether the environments of builds in cycles can be installed.
//!
//! A build that comes before something it needs sees the old version of that, from the base
//! repositories, beside the new versions of what was built already. pacman installs both only if what the
//! old one needs is still there: an old program that needs `libx.so=1-64` cannot lie beside a library that
//! provides `libx.so=2-64`. The same is true of a first stage that was built with the old library, for
//! every build that sees it with the new one.
//!
//! What a `PKGBUILD` calls `libx.so` gets its number when it is built; see `offers` for what is known of it
//! before.
//!
//! Most of what environments hold cannot fail, whatever was built. That is found out once (`stock`), and
//! only what may fail is looked at for each build.

mod clash;
mod gather;
mod items;
mod look;
mod offers;
mod stock;
mod walk;

use super::assembly::Assembly;
use super::budget::Budget;
use super::drafts::Draft;
use super::left_out::left_out;
use super::parts::Parts;
use crate::base::BaseIndex;
use crate::index::number;
pub(super) use clash::Clash;
use look::{Holder, Look};
use stock::Stock;
use walk::Walk;

/// The environments of the builds in cycles.
pub(super) struct Environments<'e, 'i> {
    stock: Stock<'e, 'i>,
    walk: Walk,
}

impl<'e, 'i> Environments<'e, 'i> {
    /// What is needed to look at the builds of all cycles.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn new<B: Budget>(
        parts: &'e Parts<'e, 'i>,
        base: &'e BaseIndex,
        assembly: &Assembly<'_, B>,
    ) -> Result<Self, B::Over> {
        let mut members: Vec<u32> = assembly.drafts.iter().map(|draft| draft.member).collect();
        members.retain(|&member| assembly.components.is_in_cycle(member));
        members.sort_unstable();
        members.dedup();
        let stock = Stock::new(parts, base, &members, assembly.budget)?;
        let walk = Walk::new(parts.members.bases.len(), stock.entries.len());
        Ok(Self { stock, walk })
    }

    /// Finds what cannot be installed for the builds of all cycles.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn find<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
    ) -> Result<Vec<Clash>, B::Over> {
        self.walk.forget_builds();
        let mut clashes = Vec::new();
        for at in 0..assembly.drafts.len() {
            let member = assembly.drafts[at].member;
            if assembly.components.is_in_cycle(member) {
                clashes.extend(self.look(assembly, at)?);
            }
        }
        Ok(clashes)
    }

    /// Whether something cannot be installed for the builds from a place on that another order could help.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn forbid<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
        from: usize,
    ) -> Result<bool, B::Over> {
        self.walk.forget_builds();
        for at in from..assembly.drafts.len() {
            if self.look(assembly, at)?.iter().any(Clash::forbids_order) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Installs what a build needs and everything that pulls in, and notes what is not satisfied.
    fn look<B: Budget>(
        &mut self,
        assembly: &Assembly<'_, B>,
        at: usize,
    ) -> Result<Vec<Clash>, B::Over> {
        assembly.budget.check()?;
        let (stock, walk) = (&self.stock, &mut self.walk);
        let draft = &assembly.drafts[at];
        if !stock.is_risky(draft.member) {
            return Ok(Vec::new());
        }
        walk.start(&assembly.drafts, number(at));
        let without = if draft.is_bootstrap {
            left_out(stock.parts, assembly, draft.member)
        } else {
            Vec::new()
        };
        let mut look = Look::new(stock, walk, draft.member, name_of(draft));
        for &want in stock.build(draft.member) {
            let relation = stock.wants[want as usize].relation;
            if relation.is_none_or(|relation| !without.contains(&relation)) {
                look.follow(Holder::Build, want);
            }
        }
        while let Some(at) = look.next() {
            assembly.budget.check()?;
            let entry = &stock.entries[at as usize];
            for wish in &entry.wishes {
                if !wish.before.is_empty() && look.is_built_before(assembly, entry, wish.want) {
                    for &want in &wish.before {
                        look.follow(Holder::BuiltBefore(at), want);
                    }
                } else {
                    look.follow(Holder::Entry(at), wish.want);
                }
            }
        }
        Ok(look.clashes)
    }
}

fn name_of(draft: &Draft) -> &'static str {
    match (draft.stage, draft.is_last_stage) {
        (1, true) => "its build",
        (1, false) => "its first build",
        _ => "its second build",
    }
}
