//! Whether the environments of first builds can be installed.
//!
//! A build that comes before something it needs sees the old version of that, from the base
//! repositories, beside the new versions of what was built already. pacman installs both only if what the
//! old one needs is still there: an old program that needs `libx.so=1-64` cannot lie beside a library that
//! provides `libx.so=2-64`.
//!
//! What a `PKGBUILD` calls `libx.so` gets its number when it is built. With the version of base it keeps the
//! number of base. With another first number in its version it is expected to get another one, as most
//! libraries do, unless the request says otherwise.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::assemble::Assembly;
use super::bootstrap::left_out;
use super::budget::Budget;
use super::finish::Parts;
use super::members::OUTSIDE;
use crate::base::{BaseIndex, BasePackage};
use crate::relation::Relation;

/// A dependency in the environment of a first build that is not satisfied.
pub(super) struct Clash {
    /// The member whose build it is.
    pub(super) member: u32,
    /// Who needs what.
    pub(super) text: String,
    /// Whether it is known or expected, or merely possible.
    pub(super) is_certain: bool,
}

/// Finds what cannot be installed for the first builds of members that are built twice, of all
/// components or of one.
///
/// # Errors
/// When the budget is used up.
pub(super) fn find<B: Budget>(
    parts: &Parts<'_, '_>,
    base: &BaseIndex,
    assembly: &Assembly<'_, B>,
    component: Option<u32>,
) -> Result<Vec<Clash>, B::Over> {
    let mut clashes = Vec::new();
    for (at, draft) in assembly.drafts.iter().enumerate() {
        let is_elsewhere = |component| assembly.component_of_build(draft.member) != component;
        if draft.stage != 1 || draft.is_last_stage || component.is_some_and(is_elsewhere) {
            continue;
        }
        let mut environment = Environment::new(parts, base, assembly, at);
        let without = if draft.is_bootstrap {
            left_out(parts, assembly, draft.member)
        } else {
            Vec::new()
        };
        environment.install(draft.member, &without, assembly.budget)?;
        clashes.extend(environment.clashes);
    }
    Ok(clashes)
}

/// A package that is installed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    /// A package of an ancestor.
    New(u32),
    /// One of base, by its place.
    Base(u32),
}

/// How a relation is satisfied.
enum Met {
    By(Item),
    /// By a library whose number is not known yet.
    Perhaps(u32),
    Not,
}

/// Who has a relation.
struct Holder {
    text: String,
    is_in_base: bool,
}

/// What a build can install: the packages of its ancestors, and of base what they do not replace.
struct Environment<'e, 'i> {
    parts: &'e Parts<'e, 'i>,
    base: &'e BaseIndex,
    member: u32,
    new: FxHashMap<&'e str, u32>,
    provided: FxHashMap<&'e str, Vec<u32>>,
    queue: VecDeque<Item>,
    seen: FxHashSet<Item>,
    clashes: Vec<Clash>,
}

impl<'e, 'i> Environment<'e, 'i> {
    fn new<B>(
        parts: &'e Parts<'e, 'i>,
        base: &'e BaseIndex,
        assembly: &Assembly<'_, B>,
        draft: usize,
    ) -> Self {
        let world = parts.world;
        let mut new = FxHashMap::default();
        let mut provided: FxHashMap<&str, Vec<u32>> = FxHashMap::default();
        for member in ancestors(assembly, draft) {
            let record = world.base(parts.members.bases[member as usize]);
            for package in record
                .into_iter()
                .flat_map(|record| world.packages_of(record))
            {
                let node = world.node(package);
                new.insert(&**world.name_text(node.name), package);
                for used in world.applicable(&node.provides) {
                    let name = Relation::split(world.relation_text(used.relation)).name;
                    provided.entry(name).or_default().push(package);
                }
            }
        }
        Self {
            parts,
            base,
            member: assembly.drafts[draft].member,
            new,
            provided,
            queue: VecDeque::new(),
            seen: FxHashSet::default(),
            clashes: Vec::new(),
        }
    }

    /// Installs what a build needs and everything that pulls in, and notes what is not satisfied.
    fn install<B: Budget>(
        &mut self,
        member: u32,
        without: &[u32],
        budget: &B,
    ) -> Result<(), B::Over> {
        let world = self.parts.world;
        let Some(record) = world.base(self.parts.members.bases[member as usize]) else {
            return Ok(());
        };
        let build = Holder {
            text: record.source.pkgbase().to_string(),
            is_in_base: false,
        };
        for used in world.applicable(&record.build) {
            if !without.contains(&used.relation) {
                self.follow(
                    &build,
                    world.relation_text(used.relation),
                    Some(used.relation),
                );
            }
        }
        while let Some(item) = self.queue.pop_front() {
            budget.check()?;
            match item {
                Item::New(package) => {
                    let holder = Holder {
                        text: self.described(package),
                        is_in_base: false,
                    };
                    for used in world.applicable(&world.node(package).depends) {
                        let text = world.relation_text(used.relation);
                        self.follow(&holder, text, Some(used.relation));
                    }
                }
                Item::Base(at) => {
                    let base = self.base;
                    let Some(package) = base.get(at) else {
                        continue;
                    };
                    let holder = Holder {
                        text: format!("the old {} {}", package.name, package.version),
                        is_in_base: true,
                    };
                    for text in &package.depends {
                        self.follow(&holder, text, None);
                    }
                }
            }
        }
        Ok(())
    }

    fn follow(&mut self, holder: &Holder, text: &str, relation: Option<u32>) {
        let wanted = Relation::split(text);
        let item = match self.meet(&wanted, holder.is_in_base) {
            Met::By(item) => item,
            Met::Perhaps(package) => {
                self.doubt(holder, text, package);
                Item::New(package)
            }
            Met::Not => {
                if let Some(why) = self.why_not(&wanted, relation) {
                    self.clash(format!("{} needs {text}, which {why}", holder.text), true);
                }
                return;
            }
        };
        if self.seen.insert(item) {
            self.queue.push_back(item);
        }
    }

    fn clash(&mut self, text: String, is_certain: bool) {
        self.clashes.push(Clash {
            member: self.member,
            text,
            is_certain,
        });
    }

    /// How a relation is satisfied, in pacman's order: by name before by what is provided, and new
    /// packages before those of base.
    fn meet(&self, wanted: &Relation<'_>, is_in_base: bool) -> Met {
        let world = self.parts.world;
        let version = |package: u32| {
            let record = world.base(world.node(package).base);
            record.map(|record| record.source.version().as_str())
        };
        let replaced = self.new.get(wanted.name).copied();
        if let Some(package) = replaced.filter(|&package| wanted.is_met_by(version(package))) {
            return Met::By(Item::New(package));
        }
        let is_there = |package: &BasePackage| !self.new.contains_key(package.name.as_str());
        let named = self.base.named(wanted.name).find(|(_, package)| {
            is_there(package) && wanted.is_met_by(Some(package.version.as_str()))
        });
        if let Some((at, _)) = named {
            return Met::By(Item::Base(at));
        }
        let mut perhaps = None;
        for &package in self.provided.get(wanted.name).into_iter().flatten() {
            for used in world.applicable(&world.node(package).provides) {
                let provision = Relation::split(world.relation_text(used.relation));
                if provision.name != wanted.name {
                    continue;
                }
                if wanted.is_met_by(provision.provided_version()) {
                    return Met::By(Item::New(package));
                }
                if wanted.may_be_met_by(&provision) {
                    perhaps = perhaps.or(Some(package));
                }
            }
        }
        // What is built from source finds the number that is there.
        if let Some(package) = perhaps.filter(|_| !is_in_base) {
            return Met::By(Item::New(package));
        }
        let mut provided = self.base.provided(wanted.name);
        let provided =
            provided.find(|(_, package)| is_there(package) && package.provides_for(wanted));
        match (provided, perhaps) {
            (Some((at, _)), _) => Met::By(Item::Base(at)),
            (None, Some(package)) => Met::Perhaps(package),
            (None, None) => Met::Not,
        }
    }

    /// Judges whether a library whose number is not known yet will have the one that is needed.
    fn doubt(&mut self, holder: &Holder, text: &str, package: u32) {
        let world = self.parts.world;
        let wanted = Relation::split(text);
        let Some(record) = world.base(world.node(package).base) else {
            return;
        };
        let name = world.name_text(world.node(package).name);
        let mut olds = self.base.named(name);
        let Some((_, old)) = olds.find(|(_, old)| old.provides_for(&wanted)) else {
            return;
        };
        let (before, now) = (&old.version, record.source.version());
        if before.without_pkgrel() == now.without_pkgrel() || self.parts.request.keeps_sonames {
            return;
        }
        let is_expected = generation(before.without_pkgrel()) != generation(now.without_pkgrel());
        let how = if is_expected { "is expected to" } else { "may" };
        let text = format!(
            "{} needs {text}, and {name} {how} get another soname when it goes from {before} to {now}",
            holder.text
        );
        self.clash(text, is_expected);
    }

    /// Why nothing satisfies a relation, if it is for what is rebuilt.
    fn why_not(&self, wanted: &Relation<'_>, relation: Option<u32>) -> Option<String> {
        let world = self.parts.world;
        let named = self.base.named(wanted.name);
        let mut old = named.chain(self.base.provided(wanted.name));
        let replaced = old.find_map(|(_, old)| {
            let package = self.new.get(old.name.as_str())?;
            old.meets(wanted).then_some(*package)
        });
        if let Some(package) = replaced {
            return Some(format!("{} does not provide", self.described(package)));
        }
        let members = &self.parts.members.member_of;
        let planned = world.installed(relation?).iter();
        let mut planned = planned.filter(|&&package| {
            !world.is_old(package) && members[world.base_of(package) as usize] != OUTSIDE
        });
        let package = *planned.next()?;
        Some(format!(
            "only {} satisfies, and that is built later",
            self.described(package)
        ))
    }

    fn described(&self, package: u32) -> String {
        let world = self.parts.world;
        let node = world.node(package);
        let name = world.name_text(node.name);
        match world.base(node.base) {
            Some(record) => format!("the new {name} {}", record.source.version()),
            None => format!("the new {name}"),
        }
    }
}

/// The members whose builds are there before a build.
fn ancestors<B>(assembly: &Assembly<'_, B>, draft: usize) -> Vec<u32> {
    let mut seen = FxHashSet::default();
    let mut members = Vec::new();
    let needs = |draft: usize| assembly.drafts[draft].needs.iter().map(|need| need.0);
    let mut stack: Vec<u32> = needs(draft).collect();
    while let Some(draft) = stack.pop() {
        if seen.insert(draft) {
            members.push(assembly.drafts[draft as usize].member);
            stack.extend(needs(draft as usize));
        }
    }
    members.sort_unstable();
    members.dedup();
    members
}

/// The part of a version that changes with the soname of most libraries: the first number, and for 0.x
/// the second.
fn generation(version: &str) -> (&str, &str) {
    let version = version
        .split_once(':')
        .map_or(version, |(_, version)| version);
    let mut numbers = version.split(|byte: char| !byte.is_ascii_alphanumeric());
    let first = numbers.next().unwrap_or_default();
    let second = if first == "0" { numbers.next() } else { None };
    (first, second.unwrap_or_default())
}
