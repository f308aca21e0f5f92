//! The simulated pacman transaction that installs the environment of a build.

use super::items::{Certainty, Entry, Item, Requirement};
use super::pool::Pool;
use super::unmet::UnmetDependency;
use super::walk::Walk;
use crate::plan::assembly::Assembly;
use crate::plan::members::OUTSIDE;
use crate::relation::Relation;

/// The maximum number of unmet dependencies of one kind that are reported per build.
const MAX_PER_BUILD: usize = 8;

/// How a requirement is satisfied.
enum Resolution {
    Satisfied(u32),
    /// By a library whose soname is not certain yet.
    Uncertain(u32, Certainty),
    Unsatisfied,
}

/// What has a requirement.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Build,
    Entry(u32),
    /// A package that was built with the old library.
    BuiltBefore(u32),
}

/// A simulated transaction for one build.
pub(super) struct Transaction<'w, 'e, 'i> {
    pool: &'w Pool<'e, 'i>,
    walk: &'w mut Walk,
    member: u32,
    build: &'static str,
    pub(super) unmet: Vec<UnmetDependency>,
}

impl<'w, 'e, 'i> Transaction<'w, 'e, 'i> {
    pub(super) fn new(
        pool: &'w Pool<'e, 'i>,
        walk: &'w mut Walk,
        member: u32,
        build: &'static str,
    ) -> Self {
        Self {
            pool,
            walk,
            member,
            build,
            unmet: Vec::new(),
        }
    }

    /// Returns the next installed package whose dependencies must be followed.
    pub(super) fn next(&mut self) -> Option<u32> {
        self.walk.next()
    }

    /// Installs the package that satisfies a requirement, or reports that there is none.
    pub(super) fn follow(&mut self, holder: Holder, requirement: u32) {
        let pool = self.pool;
        let requirement = &pool.requirements[requirement as usize];
        let entry = match self.resolve(requirement) {
            Resolution::Satisfied(entry) => entry,
            Resolution::Uncertain(entry, certainty) => {
                if let Item::New(package) = pool.entries[entry as usize].item {
                    let why = pool.explain_uncertainty(package, &requirement.text, certainty);
                    let text = format!(
                        "{} needs {}, but {why}",
                        self.holder(holder),
                        requirement.text
                    );
                    let depends_on_order = self.depends_on_order(holder);
                    self.report(
                        holder,
                        text,
                        certainty == Certainty::Unlikely,
                        depends_on_order,
                    );
                }
                entry
            }
            Resolution::Unsatisfied => {
                if let Some((why, is_later)) = self.explain_unmet(requirement) {
                    let text = format!(
                        "{} needs {}, which {why}",
                        self.holder(holder),
                        requirement.text
                    );
                    let depends_on_order = is_later || self.depends_on_order(holder);
                    self.report(holder, text, true, depends_on_order);
                }
                return;
            }
        };
        let installed = &pool.entries[entry as usize];
        let is_old = matches!(installed.item, Item::Base(_)) && !installed.replaced_by.is_empty();
        let is_pulled_in_by_old = is_old || self.depends_on_order(holder);
        self.walk
            .install(entry, is_pulled_in_by_old, installed.is_risky);
    }

    /// Returns whether another order could remove a requirement: that of an old package of a member, of what this pulls
    /// in, or of a package that was built with an old library.
    fn depends_on_order(&self, holder: Holder) -> bool {
        match holder {
            Holder::Build => false,
            Holder::BuiltBefore(_) => true,
            Holder::Entry(entry) => self.walk.is_pulled_in_by_old(entry),
        }
    }

    fn report(&mut self, holder: Holder, text: String, is_certain: bool, depends_on_order: bool) {
        let similar = self.unmet.iter().filter(|unmet| {
            (unmet.is_certain, unmet.depends_on_order) == (is_certain, depends_on_order)
        });
        if similar.count() >= MAX_PER_BUILD {
            return;
        }
        let holder = match holder {
            Holder::Build => self.member,
            Holder::Entry(entry) | Holder::BuiltBefore(entry) => {
                let entry = &self.pool.entries[entry as usize];
                match entry.item {
                    Item::New(_) => entry.member,
                    Item::Base(_) => entry.replaced_by.first().copied().unwrap_or(OUTSIDE),
                }
            }
        };
        self.unmet.push(UnmetDependency {
            member: self.member,
            build: self.build,
            holder,
            text,
            is_certain,
            depends_on_order,
        });
    }

    /// Resolves a requirement: by a package with that name, otherwise by an installed package, otherwise by the first
    /// available one.
    fn resolve(&self, requirement: &Requirement) -> Resolution {
        let (mut first, mut uncertain) = (None, None);
        for satisfier in &requirement.satisfiers {
            if !self
                .walk
                .is_available(&self.pool.entries[satisfier.entry as usize])
            {
                continue;
            }
            match satisfier.certainty {
                Certainty::Certain => {
                    if satisfier.is_by_name || self.walk.is_installed(satisfier.entry) {
                        return Resolution::Satisfied(satisfier.entry);
                    }
                    first = first.or(Some(satisfier.entry));
                }
                // A merely possible soname change must not block a plan.
                Certainty::Possible => uncertain = Some((satisfier.entry, satisfier.certainty)),
                Certainty::Unlikely => {
                    uncertain = uncertain.or(Some((satisfier.entry, satisfier.certainty)));
                }
            }
        }
        match (first, uncertain) {
            (Some(entry), _) => Resolution::Satisfied(entry),
            (None, Some((entry, certainty))) => Resolution::Uncertain(entry, certainty),
            (None, None) => Resolution::Unsatisfied,
        }
    }

    /// Returns whether the newest available build of a package was built without the new library that it needs.
    pub(super) fn is_built_before<B>(
        &mut self,
        assembly: &Assembly<'_, B>,
        entry: &Entry,
        requirement: u32,
    ) -> bool {
        let (Resolution::Satisfied(library), Some(draft)) = (
            self.resolve(&self.pool.requirements[requirement as usize]),
            self.walk.newest(entry.member),
        ) else {
            return false;
        };
        let producer = self.pool.entries[library as usize].member;
        producer != OUTSIDE
            && producer != entry.member
            && !self.walk.is_built_with(assembly, producer, draft)
    }

    /// Explains why nothing satisfies a requirement, if it concerns a rebuilt package, and returns whether a later
    /// build satisfies it.
    fn explain_unmet(&self, requirement: &Requirement) -> Option<(String, bool)> {
        let (pool, base) = (self.pool, self.pool.base);
        let wanted = Relation::split(&requirement.text);
        let mut old = base.named(wanted.name).chain(base.provided(wanted.name));
        let replaced = old.find_map(|(_, old)| {
            let mut new = pool.new_packages(old.name.as_str()).iter();
            let is_available = |member: u32| self.walk.newest(member).is_some();
            let new = new.find(|&&package| {
                is_available(pool.member_of(package))
                    && !pool
                        .replacing_members(package)
                        .into_iter()
                        .any(is_available)
            });
            new.filter(|_| old.meets(&wanted))
        });
        if let Some(&package) = replaced {
            return Some((
                format!("{} does not provide", pool.described(package)),
                false,
            ));
        }
        let (world, members) = (pool.context.world, &pool.context.members.member_of);
        let planned = world.installed(requirement.relation?).iter();
        let mut planned = planned.filter(|&&package| {
            !world.is_old(package) && members[world.base_of(package) as usize] != OUTSIDE
        });
        let package = pool.described(*planned.next()?);
        Some((
            format!("only {package} satisfies, but it is built later"),
            true,
        ))
    }

    fn holder(&self, holder: Holder) -> String {
        let pool = self.pool;
        let (entry, is_built_before) = match holder {
            Holder::Build => {
                let base = pool.context.members.bases[self.member as usize];
                let record = pool.context.world.base(base);
                let name = record.map(|record| record.source.pkgbase().to_string());
                return name.unwrap_or_default();
            }
            Holder::Entry(entry) => (entry, false),
            Holder::BuiltBefore(entry) => (entry, true),
        };
        match pool.entries[entry as usize].item {
            Item::New(package) if is_built_before => format!(
                "{}, which is built with the old library,",
                pool.described(package)
            ),
            Item::New(package) => pool.described(package),
            Item::Base(at) => match pool.base.get(at) {
                Some(package) => format!("the old {} {}", package.name, package.version),
                None => String::new(),
            },
        }
    }
}
