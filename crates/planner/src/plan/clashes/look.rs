//! One walk through the environment of a build, as pacman would install it.

use super::clash::Clash;
use super::items::{Answer, Entry, Item, Want};
use super::stock::Stock;
use super::walk::Walk;
use crate::plan::assembly::Assembly;
use crate::plan::members::OUTSIDE;
use crate::relation::Relation;

/// How many clashes of one sort are told of one build.
const MOST_OF_BUILD: usize = 8;

/// How a relation is satisfied.
enum Met {
    By(u32),
    /// By a library whose number is not known yet.
    Doubtful(u32, Answer),
    Not,
}

/// Who has a relation.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Build,
    Entry(u32),
    /// A package that was built with the old library.
    BuiltBefore(u32),
}

/// One walk through the environment of a build.
pub(super) struct Look<'w, 'e, 'i> {
    stock: &'w Stock<'e, 'i>,
    walk: &'w mut Walk,
    member: u32,
    build: &'static str,
    pub(super) clashes: Vec<Clash>,
}

impl<'w, 'e, 'i> Look<'w, 'e, 'i> {
    pub(super) fn new(
        stock: &'w Stock<'e, 'i>,
        walk: &'w mut Walk,
        member: u32,
        build: &'static str,
    ) -> Self {
        Self {
            stock,
            walk,
            member,
            build,
            clashes: Vec::new(),
        }
    }

    /// The next package whose dependencies are to be followed.
    pub(super) fn next(&mut self) -> Option<u32> {
        self.walk.queue.pop_front()
    }

    /// Installs what satisfies a relation, or notes that nothing does.
    pub(super) fn follow(&mut self, holder: Holder, want: u32) {
        let stock = self.stock;
        let want = &stock.wants[want as usize];
        let entry = match self.meet(want) {
            Met::By(entry) => entry,
            Met::Doubtful(entry, answer) => {
                if let Item::New(package) = stock.entries[entry as usize].item {
                    let why = stock.doubt(package, &want.text, answer);
                    let text = format!("{} needs {}, but {why}", self.holder(holder), want.text);
                    let is_of_order = self.is_of_order(holder);
                    self.note(holder, text, answer == Answer::Hardly, is_of_order);
                }
                entry
            }
            Met::Not => {
                if let Some((why, is_later)) = self.why_not(want) {
                    let text = format!("{} needs {}, which {why}", self.holder(holder), want.text);
                    let is_of_order = is_later || self.is_of_order(holder);
                    self.note(holder, text, true, is_of_order);
                }
                return;
            }
        };
        let at = entry as usize;
        if std::mem::replace(&mut self.walk.entries[at], self.walk.now) == self.walk.now {
            return;
        }
        let entry_of = &stock.entries[at];
        let is_old = matches!(entry_of.item, Item::Base(_)) && !entry_of.replaced_by.is_empty();
        self.walk.is_behind_old[at] = is_old || self.is_of_order(holder);
        if entry_of.is_risky {
            self.walk.queue.push_back(entry);
        }
    }

    /// Whether a dependency would not be there in another order: that of an old package of a member, of what
    /// that pulls in, or of one that was built with an old library.
    fn is_of_order(&self, holder: Holder) -> bool {
        match holder {
            Holder::Build => false,
            Holder::BuiltBefore(_) => true,
            Holder::Entry(entry) => self.walk.is_behind_old[entry as usize],
        }
    }

    fn note(&mut self, holder: Holder, text: String, is_certain: bool, is_of_order: bool) {
        let alike = self
            .clashes
            .iter()
            .filter(|clash| (clash.is_certain, clash.is_of_order) == (is_certain, is_of_order));
        if alike.count() >= MOST_OF_BUILD {
            return;
        }
        let holder = match holder {
            Holder::Build => self.member,
            Holder::Entry(entry) | Holder::BuiltBefore(entry) => {
                let entry = &self.stock.entries[entry as usize];
                match entry.item {
                    Item::New(_) => entry.member,
                    Item::Base(_) => entry.replaced_by.first().copied().unwrap_or(OUTSIDE),
                }
            }
        };
        self.clashes.push(Clash {
            member: self.member,
            build: self.build,
            holder,
            text,
            is_certain,
            is_of_order,
        });
    }

    /// How a relation is satisfied: by name, else by what is installed already, else by the first that is there.
    fn meet(&self, want: &Want) -> Met {
        let (mut first, mut doubtful) = (None, None);
        for offer in &want.offers {
            if !self.walk.has(&self.stock.entries[offer.entry as usize]) {
                continue;
            }
            match offer.answer {
                Answer::Yes => {
                    let is_installed = self.walk.entries[offer.entry as usize] == self.walk.now;
                    if offer.is_by_name || is_installed {
                        return Met::By(offer.entry);
                    }
                    first = first.or(Some(offer.entry));
                }
                // What is merely possible is no reason to refuse anything.
                Answer::Perhaps => doubtful = Some((offer.entry, offer.answer)),
                Answer::Hardly => doubtful = doubtful.or(Some((offer.entry, offer.answer))),
            }
        }
        match (first, doubtful) {
            (Some(entry), _) => Met::By(entry),
            (None, Some((entry, answer))) => Met::Doubtful(entry, answer),
            (None, None) => Met::Not,
        }
    }

    /// Whether the newest build of a package that is there did not have the new library that it needs.
    pub(super) fn is_built_before<B>(
        &mut self,
        assembly: &Assembly<'_, B>,
        entry: &Entry,
        want: u32,
    ) -> bool {
        let (Met::By(library), Some(draft)) = (
            self.meet(&self.stock.wants[want as usize]),
            self.walk.newest(entry.member),
        ) else {
            return false;
        };
        let maker = self.stock.entries[library as usize].member;
        maker != OUTSIDE
            && maker != entry.member
            && !self.walk.is_built_with(assembly, maker, draft)
    }

    /// Why nothing satisfies a relation, if it is for what is rebuilt, and whether it comes later.
    fn why_not(&self, want: &Want) -> Option<(String, bool)> {
        let (stock, base) = (self.stock, self.stock.base);
        let wanted = Relation::split(&want.text);
        let mut old = base.named(wanted.name).chain(base.provided(wanted.name));
        let replaced = old.find_map(|(_, old)| {
            let mut new = stock.made(old.name.as_str()).iter();
            let is_there = |member: u32| self.walk.newest(member).is_some();
            let new = new.find(|&&package| {
                is_there(stock.member_of(package))
                    && !stock.better(package).into_iter().any(is_there)
            });
            new.filter(|_| old.meets(&wanted))
        });
        if let Some(&package) = replaced {
            return Some((
                format!("{} does not provide", stock.described(package)),
                false,
            ));
        }
        let (world, members) = (stock.parts.world, &stock.parts.members.member_of);
        let planned = world.installed(want.relation?).iter();
        let mut planned = planned.filter(|&&package| {
            !world.is_old(package) && members[world.base_of(package) as usize] != OUTSIDE
        });
        let package = stock.described(*planned.next()?);
        Some((
            format!("only {package} satisfies, but it is built later"),
            true,
        ))
    }

    fn holder(&self, holder: Holder) -> String {
        let stock = self.stock;
        let (entry, is_built_before) = match holder {
            Holder::Build => {
                let base = stock.parts.members.bases[self.member as usize];
                let record = stock.parts.world.base(base);
                let name = record.map(|record| record.source.pkgbase().to_string());
                return name.unwrap_or_default();
            }
            Holder::Entry(entry) => (entry, false),
            Holder::BuiltBefore(entry) => (entry, true),
        };
        match stock.entries[entry as usize].item {
            Item::New(package) if is_built_before => format!(
                "{}, which is built with the old library,",
                stock.described(package)
            ),
            Item::New(package) => stock.described(package),
            Item::Base(at) => match stock.base.get(at) {
                Some(package) => format!("the old {} {}", package.name, package.version),
                None => String::new(),
            },
        }
    }
}
