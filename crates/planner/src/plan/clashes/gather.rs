//! Puts together what the environments of builds can hold.

use buildbtw_model::Architecture;
use petgraph::visit::{Dfs, Reversed, Visitable};

use super::items::{Item, Offer, Want, Wish};
use super::stock::Stock;
use crate::base::BaseIndex;
use crate::index::number;
use crate::plan::budget::Budget;
use crate::plan::parts::Parts;
use crate::relation::Relation;
use crate::sparse::{Rows, SparseGraph};

/// Architectures whose libraries have 32 bits.
const OF_32_BITS: &[&str] = &["arm", "armv6h", "armv7h", "i486", "i686", "pentium4"];

/// Whether a package of this name is for programs of 32 bits.
fn is_of_32_bits(name: &str, architecture: &Architecture) -> bool {
    name.starts_with("lib32-") || OF_32_BITS.contains(&architecture.as_str())
}

impl<'e, 'i> Stock<'e, 'i> {
    /// What the environments of some members' builds may hold.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(super) fn new<B: Budget>(
        parts: &'e Parts<'e, 'i>,
        base: &'e BaseIndex,
        members: &[u32],
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut stock = Self::empty(parts, base);
        if members.is_empty() {
            return Ok(stock);
        }
        stock.note_members();
        for &member in members {
            budget.check()?;
            stock.add_build(member);
        }
        let mut at = 0;
        // What is found on the way comes behind.
        while at < stock.entries.len() {
            budget.check()?;
            let wishes = stock.wishes(stock.entries[at].item);
            stock.entries[at].wishes = wishes;
            at += 1;
        }
        stock.mark_risky();
        Ok(stock)
    }

    fn note_members(&mut self) {
        let world = self.parts.world;
        let bases = self.parts.members.bases.iter();
        for record in bases.filter_map(|&base| world.base(base)) {
            for package in world.packages_of(record) {
                let node = world.node(package);
                let name: &str = world.name_text(node.name);
                self.made.entry(name).or_default().push(package);
                for used in world.applicable(&node.provides) {
                    let name = Relation::split(world.relation_text(used.relation)).name;
                    let list = self.provided.entry(name).or_default();
                    if list.last() != Some(&package) {
                        list.push(package);
                    }
                }
            }
        }
    }

    fn add_build(&mut self, member: u32) {
        let world = self.parts.world;
        let Some(record) = world.base(self.parts.members.bases[member as usize]) else {
            return;
        };
        let architecture = &self.parts.request.architecture;
        let is_32 = is_of_32_bits(record.source.pkgbase().as_str(), architecture);
        let uses = world.applicable(&record.build);
        let wants = uses.map(|used| self.listed(used.relation, is_32)).collect();
        self.builds.insert(member, wants);
    }

    /// What a package needs.
    fn wishes(&mut self, item: Item) -> Vec<Wish> {
        let (world, base) = (self.parts.world, self.base);
        match item {
            Item::New(package) => {
                let node = world.node(package);
                let architecture = &self.parts.request.architecture;
                let is_32 = is_of_32_bits(world.name_text(node.name), architecture);
                let uses = world.applicable(&node.depends);
                uses.map(|used| {
                    let text = world.relation_text(used.relation);
                    let before = self.old_numbers(package, text, is_32);
                    let before = before.iter().map(|text| self.literal(text));
                    let mut before: Vec<u32> = before.collect();
                    before.retain(|&want| !self.wants[want as usize].is_safe);
                    Wish {
                        want: self.listed(used.relation, is_32),
                        before,
                    }
                })
                .collect()
            }
            Item::Base(at) => {
                let depends = base.get(at).map(|package| &*package.depends);
                let depends = depends.unwrap_or_default().iter();
                depends
                    .map(|text| Wish {
                        want: self.literal(text),
                        before: Vec::new(),
                    })
                    .collect()
            }
        }
    }

    /// A relation of an `.SRCINFO`, for packages of 32 bits or of 64.
    fn listed(&mut self, relation: u32, is_32: bool) -> u32 {
        if let Some(&known) = self.listed.get(&(relation, is_32)) {
            return known;
        }
        let text = self.parts.world.relation_text(relation);
        let offers = self.offers(text, false, is_32);
        let want = self.add_want(text, Some(relation), offers);
        self.listed.insert((relation, is_32), want);
        want
    }

    /// A relation of a package that is built.
    fn literal(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.literal.get(text) {
            return known;
        }
        let offers = self.offers(text, true, false);
        let want = self.add_want(text, None, offers);
        self.literal.insert(text.into(), want);
        want
    }

    fn add_want(&mut self, text: &str, relation: Option<u32>, offers: Vec<Offer>) -> u32 {
        let is_safe = self.is_safe(&offers);
        self.wants.push(Want {
            text: text.into(),
            relation,
            offers,
            is_safe,
        });
        number(self.wants.len() - 1)
    }

    /// Marks the packages that may not be satisfied, and those that may pull them in.
    fn mark_risky(&mut self) {
        let mut needs = Rows::new();
        let mut unsatisfied = Vec::new();
        for (at, entry) in (0..).zip(&self.entries) {
            let wants = entry.wishes.iter().flat_map(|wish| {
                let before = wish.before.iter();
                before.chain([&wish.want])
            });
            for want in wants.map(|&want| &self.wants[want as usize]) {
                if !want.is_safe {
                    unsatisfied.push(at);
                }
                for offer in &want.offers {
                    needs.push(offer.entry);
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
