//! What environments of builds can hold, put together once for a plan: the packages of members and those
//! of base, what each of them needs, and who satisfies that.

use buildbtw_model::{PackageVersion, compare_versions};
use petgraph::visit::{Dfs, Reversed, Visitable};
use rustc_hash::FxHashMap;

use super::offers::{Answer, Offer, is_of_32_bits};
use crate::base::BaseIndex;
use crate::index::number;
use crate::plan::budget::Budget;
use crate::plan::finish::Parts;
use crate::plan::members::OUTSIDE;
use crate::relation::Relation;
use crate::sparse::{Rows, SparseGraph};

/// A package that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// A package of a member, by its number.
    New(u32),
    /// One of base, by its place.
    Base(u32),
}

/// A package that environments may hold, and what it needs.
pub(super) struct Entry {
    pub(super) item: Item,
    /// The member that makes it; [`OUTSIDE`] for one of base.
    pub(super) member: u32,
    /// The members whose packages take its place where they are there.
    pub(super) replaced_by: Vec<u32>,
    pub(super) wishes: Vec<Wish>,
    /// Whether it, or something that it may pull in, may not be satisfied.
    pub(super) is_risky: bool,
}

/// A dependency of a package.
pub(super) struct Wish {
    pub(super) want: u32,
    /// What it is where the package was built with the old library: the same with the old number. Nothing
    /// where the number is known to stay.
    pub(super) before: Vec<u32>,
}

/// A relation, and who satisfies it.
pub(super) struct Want {
    pub(super) text: Box<str>,
    /// Its number, if an `.SRCINFO` has it.
    pub(super) relation: Option<u32>,
    /// In the order in which they are taken.
    pub(super) offers: Vec<Offer>,
    /// Whether it is satisfied whatever was built.
    pub(super) is_safe: bool,
}

/// Everything that environments may hold.
pub(super) struct Stock<'e, 'i> {
    pub(super) parts: &'e Parts<'e, 'i>,
    pub(super) base: &'e BaseIndex,
    pub(super) entries: Vec<Entry>,
    pub(super) wants: Vec<Want>,
    /// What each build installs.
    builds: FxHashMap<u32, Vec<u32>>,
    /// Packages of members by their names, and by what they provide.
    made: FxHashMap<&'e str, Vec<u32>>,
    pub(super) provided: FxHashMap<&'e str, Vec<u32>>,
    entry_of: FxHashMap<Item, u32>,
    listed: FxHashMap<(u32, bool), u32>,
    literal: FxHashMap<Box<str>, u32>,
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
        let mut stock = Self {
            parts,
            base,
            entries: Vec::new(),
            wants: Vec::new(),
            builds: FxHashMap::default(),
            made: FxHashMap::default(),
            provided: FxHashMap::default(),
            entry_of: FxHashMap::default(),
            listed: FxHashMap::default(),
            literal: FxHashMap::default(),
        };
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

    /// Whether one of these is there whatever was built: a package of base, or what takes its place. What
    /// nobody has is left to others.
    fn is_safe(&self, offers: &[Offer]) -> bool {
        let sure = || offers.iter().filter(|offer| offer.answer == Answer::Yes);
        let is_sure = |item| sure().any(|offer| self.entries[offer.entry as usize].item == item);
        let mut bases = sure().filter_map(|offer| match self.entries[offer.entry as usize].item {
            Item::Base(at) => self.base.get(at),
            Item::New(_) => None,
        });
        offers.is_empty()
            || bases.any(|old| {
                let mut new = self.made(old.name.as_str()).iter();
                new.all(|&package| is_sure(Item::New(package)))
            })
    }

    pub(super) fn entry(&mut self, item: Item) -> u32 {
        if let Some(&known) = self.entry_of.get(&item) {
            return known;
        }
        let (member, replaced_by) = match item {
            Item::New(package) => (self.member_of(package), self.better(package)),
            Item::Base(at) => {
                let name = self.base.get(at).map(|package| package.name.as_str());
                let made = self.made(name.unwrap_or_default()).iter();
                let makers = made.map(|&package| self.member_of(package)).collect();
                (OUTSIDE, makers)
            }
        };
        let entry = number(self.entries.len());
        self.entries.push(Entry {
            item,
            member,
            replaced_by,
            wishes: Vec::new(),
            is_risky: false,
        });
        self.entry_of.insert(item, entry);
        entry
    }

    /// The members whose package of the same name a repository lists in place of this one: that of the
    /// highest version, of several the first by name.
    pub(super) fn better(&self, package: u32) -> Vec<u32> {
        let world = self.parts.world;
        let made = self.made(world.name_text(world.node(package).name));
        if made.len() < 2 {
            return Vec::new();
        }
        let others = made.iter().filter(|&&other| {
            let (own, theirs) = (self.version(package), self.version(other));
            let (own, theirs) = (
                own.map(PackageVersion::as_str),
                theirs.map(PackageVersion::as_str),
            );
            let order = compare_versions(theirs.unwrap_or_default(), own.unwrap_or_default());
            let is_first = self.member_of(other) < self.member_of(package);
            order.is_gt() || order.is_eq() && is_first
        });
        others.map(|&other| self.member_of(other)).collect()
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

    /// What a build installs.
    pub(super) fn build(&self, member: u32) -> &[u32] {
        let wants = self.builds.get(&member).map(Vec::as_slice);
        wants.unwrap_or_default()
    }

    /// Whether anything may be wrong with the environment of a build.
    pub(super) fn is_risky(&self, member: u32) -> bool {
        let mut wants = self.build(member).iter();
        wants.any(|&want| {
            let want = &self.wants[want as usize];
            let mut offers = want.offers.iter();
            !want.is_safe || offers.any(|offer| self.entries[offer.entry as usize].is_risky)
        })
    }

    /// The packages of members with a name.
    pub(super) fn made(&self, name: &str) -> &[u32] {
        self.made.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The member that makes a package.
    pub(super) fn member_of(&self, package: u32) -> u32 {
        self.parts.members.member_of[self.parts.world.base_of(package) as usize]
    }

    /// The version of a member's package.
    pub(super) fn version(&self, package: u32) -> Option<&'e PackageVersion> {
        let world = self.parts.world;
        let record = world.base(world.node(package).base);
        record.map(|record| record.source.version())
    }

    /// A package of a member in words.
    pub(super) fn described(&self, package: u32) -> String {
        let world = self.parts.world;
        let name = world.name_text(world.node(package).name);
        match self.version(package) {
            Some(version) => format!("the new {name} {version}"),
            None => format!("the new {name}"),
        }
    }
}
