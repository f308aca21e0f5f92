//! The pool of packages that environments can contain, collected once per plan: those of members and of base, with
//! their dependencies and the packages that satisfy these.

use buildbtw_model::{PackageVersion, compare_versions};
use rustc_hash::FxHashMap;

use super::items::{Certainty, Entry, Item, Requirement, Satisfier};
use crate::base::BaseIndex;
use crate::index::number;
use crate::plan::context::PlanContext;
use crate::plan::members::OUTSIDE;

/// All packages that environments may contain.
pub(super) struct Pool<'e, 'i> {
    pub(super) context: &'e PlanContext<'e, 'i>,
    pub(super) base: &'e BaseIndex,
    pub(super) entries: Vec<Entry>,
    pub(super) requirements: Vec<Requirement>,
    /// For each member: the requirements that its build installs.
    pub(super) builds: FxHashMap<u32, Vec<u32>>,
    /// Packages of members, by their names and by their provisions.
    pub(super) new_by_name: FxHashMap<&'e str, Vec<u32>>,
    pub(super) new_by_provision: FxHashMap<&'e str, Vec<u32>>,
    /// The numbers of known entries, and of the requirements for relations of `.SRCINFO` files and of built packages.
    entry_of: FxHashMap<Item, u32>,
    pub(super) listed: FxHashMap<(u32, bool), u32>,
    pub(super) literal: FxHashMap<Box<str>, u32>,
}

impl<'e, 'i> Pool<'e, 'i> {
    /// Creates an empty pool.
    pub(super) fn empty(context: &'e PlanContext<'e, 'i>, base: &'e BaseIndex) -> Self {
        Self {
            context,
            base,
            entries: Vec::new(),
            requirements: Vec::new(),
            builds: FxHashMap::default(),
            new_by_name: FxHashMap::default(),
            new_by_provision: FxHashMap::default(),
            entry_of: FxHashMap::default(),
            listed: FxHashMap::default(),
            literal: FxHashMap::default(),
        }
    }

    /// Returns whether one of the satisfiers is available whatever has been built: a package of base, or the packages
    /// that replace it. A relation that no package satisfies counts as safe, because it is reported as unresolved.
    pub(super) fn is_safe(&self, satisfiers: &[Satisfier]) -> bool {
        let sure = || {
            satisfiers
                .iter()
                .filter(|satisfier| satisfier.certainty == Certainty::Certain)
        };
        let is_sure =
            |item| sure().any(|satisfier| self.entries[satisfier.entry as usize].item == item);
        let mut bases =
            sure().filter_map(
                |satisfier| match self.entries[satisfier.entry as usize].item {
                    Item::Base(at) => self.base.get(at),
                    Item::New(_) => None,
                },
            );
        satisfiers.is_empty()
            || bases.any(|old| {
                let mut new = self.new_packages(old.name.as_str()).iter();
                new.all(|&package| is_sure(Item::New(package)))
            })
    }

    pub(super) fn entry(&mut self, item: Item) -> u32 {
        if let Some(&known) = self.entry_of.get(&item) {
            return known;
        }
        let (member, replaced_by) = match item {
            Item::New(package) => (self.member_of(package), self.replacing_members(package)),
            Item::Base(at) => {
                let name = self.base.get(at).map(|package| package.name.as_str());
                let packages = self.new_packages(name.unwrap_or_default()).iter();
                let producers = packages.map(|&package| self.member_of(package)).collect();
                (OUTSIDE, producers)
            }
        };
        let entry = number(self.entries.len());
        self.entries.push(Entry {
            item,
            member,
            replaced_by,
            dependencies: Vec::new(),
            is_risky: false,
        });
        self.entry_of.insert(item, entry);
        entry
    }

    /// Returns the members whose package of the same name a repository lists instead of this one: the one with the
    /// highest version, and of several the first by name.
    pub(super) fn replacing_members(&self, package: u32) -> Vec<u32> {
        let world = self.context.world;
        let packages = self.new_packages(world.name_text(world.node(package).name));
        if packages.len() < 2 {
            return Vec::new();
        }
        let others = packages.iter().filter(|&&other| {
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

    /// Returns the requirements that a member's build installs.
    pub(super) fn build(&self, member: u32) -> &[u32] {
        let requirements = self.builds.get(&member).map(Vec::as_slice);
        requirements.unwrap_or_default()
    }

    /// Returns whether the environment of a build might not be installable.
    pub(super) fn is_risky(&self, member: u32) -> bool {
        let mut requirements = self.build(member).iter();
        requirements.any(|&requirement| {
            let requirement = &self.requirements[requirement as usize];
            let mut satisfiers = requirement.satisfiers.iter();
            !requirement.is_safe
                || satisfiers.any(|satisfier| self.entries[satisfier.entry as usize].is_risky)
        })
    }

    /// Returns the packages of members with a name.
    pub(super) fn new_packages(&self, name: &str) -> &[u32] {
        self.new_by_name
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Returns the member that produces a package.
    pub(super) fn member_of(&self, package: u32) -> u32 {
        self.context.members.member_of[self.context.world.base_of(package) as usize]
    }

    /// Returns the version of a member's package.
    pub(super) fn version(&self, package: u32) -> Option<&'e PackageVersion> {
        let world = self.context.world;
        let record = world.base(world.node(package).base);
        record.map(|record| record.source.version())
    }

    /// Describes a package of a member for messages.
    pub(super) fn described(&self, package: u32) -> String {
        let world = self.context.world;
        let name = world.name_text(world.node(package).name);
        match self.version(package) {
            Some(version) => format!("the new {name} {version}"),
            None => format!("the new {name}"),
        }
    }
}
