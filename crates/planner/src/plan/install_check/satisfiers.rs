//! The packages that satisfy a relation in an environment, with predictions of sonames.

use buildbtw_model::PackageVersion;

use super::items::{Certainty, Item, Satisfier};
use super::pool::Pool;
use crate::base::BasePackage;
use crate::relation::{Comparison, Relation, soname_generation};

/// The order of preference among packages that provide a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    New,
    /// With the soname version that it will get.
    NewNumber,
    Base,
    /// A library for the other word size.
    OtherSize,
    Uncertain,
}

/// Returns the word size at the end of a soname version.
fn size(version: &str) -> Option<&'static str> {
    ["64", "32"].into_iter().find(|size| {
        version
            .rsplit_once('-')
            .is_some_and(|(_, end)| end == *size)
    })
}

impl<'e> Pool<'e, '_> {
    /// Returns the packages that satisfy a relation, in pacman's order: names before provisions, and new packages
    /// before those of base. A relation of a built package is literal: its soname version is final. What is built from
    /// source adapts to the soname that is available.
    pub(super) fn satisfiers(
        &mut self,
        text: &str,
        is_literal: bool,
        is_32: bool,
    ) -> Vec<Satisfier> {
        let wanted = Relation::split(text);
        let base = self.base;
        let mut satisfiers = Vec::new();
        for package in self.new_packages(wanted.name).to_vec() {
            if wanted.is_met_by(self.version(package).map(PackageVersion::as_str)) {
                satisfiers.push(self.satisfier(Item::New(package), Certainty::Certain, true));
            }
        }
        for (at, old) in base.named(wanted.name) {
            if wanted.is_met_by(Some(old.version.as_str())) {
                satisfiers.push(self.satisfier(Item::Base(at), Certainty::Certain, true));
            }
        }
        let mut provided = Vec::new();
        for &package in self.new_by_provision.get(wanted.name).into_iter().flatten() {
            if let Some((rank, certainty)) = self.provides(package, &wanted, is_literal, is_32) {
                provided.push((rank, Item::New(package), certainty));
            }
        }
        if is_literal && provided.is_empty() {
            self.undeclared_libraries(&wanted, &mut provided);
        }
        for (at, old) in base.provided(wanted.name) {
            if old.provides_for(&wanted) {
                provided.push((Rank::Base, Item::Base(at), Certainty::Certain));
            }
        }
        provided.sort_by_key(|(rank, ..)| *rank);
        for (_, item, certainty) in provided {
            satisfiers.push(self.satisfier(item, certainty, false));
        }
        satisfiers
    }

    fn satisfier(&mut self, item: Item, certainty: Certainty, is_by_name: bool) -> Satisfier {
        Satisfier {
            entry: self.entry(item),
            certainty,
            is_by_name,
        }
    }

    /// Returns whether a provision of a member's package satisfies a relation.
    fn provides(
        &self,
        package: u32,
        wanted: &Relation<'_>,
        is_literal: bool,
        is_32: bool,
    ) -> Option<(Rank, Certainty)> {
        let world = self.context.world;
        let is_library = wanted.name.ends_with(".so");
        let preferred = if is_32 { "32" } else { "64" };
        let size = size(wanted.version).unwrap_or(preferred);
        let is_other_size = || is_library && self.has_other_size(package, wanted.name, size);
        let mut found = None;
        for used in world.applicable(&world.node(package).provides) {
            let provision = Relation::split(world.relation_text(used.relation));
            if provision.name != wanted.name {
                continue;
            }
            if wanted.is_met_by(provision.provided_version()) {
                let is_bare = wanted.comparison == Comparison::Any;
                let rank = match is_bare && is_other_size() {
                    true => Rank::OtherSize,
                    false => Rank::New,
                };
                return Some((rank, Certainty::Certain));
            }
            if wanted.may_be_met_by(&provision) && !is_other_size() {
                let certainty = if is_literal {
                    self.certainty(package, wanted)
                } else {
                    Certainty::Certain
                };
                found = Some((rank_of(certainty), certainty));
            }
        }
        found
    }

    /// Finds libraries that makepkg autodetects in packages (`lib:libx.so.1`) and that no `.SRCINFO` declares: the new
    /// versions of packages that contained them are expected to contain them, too.
    fn undeclared_libraries(
        &self,
        wanted: &Relation<'_>,
        found: &mut Vec<(Rank, Item, Certainty)>,
    ) {
        if !wanted.name.starts_with("lib:") && !wanted.name.starts_with("lib32:") {
            return;
        }
        for (_, old) in self.base.provided(wanted.name) {
            if old.provides_for(wanted) {
                for &package in self.new_packages(old.name.as_str()) {
                    let certainty = self.certainty(package, wanted);
                    found.push((rank_of(certainty), Item::New(package), certainty));
                }
            }
        }
    }

    /// Returns whether the library of a member's package is known to have another word size.
    fn has_other_size(&self, package: u32, library: &str, wanted: &str) -> bool {
        let world = self.context.world;
        let node = world.node(package);
        let name: &str = world.name_text(node.name);
        let size_of = |provision: &str| {
            let provision = Relation::split(provision);
            let is_it = provision.name == library;
            is_it.then(|| size(provision.version)).flatten()
        };
        let own = world.applicable(&node.provides);
        let own = own.filter_map(|used| size_of(world.relation_text(used.relation)));
        let mut sizes: Vec<&str> = own.collect();
        if sizes.is_empty() {
            let olds = self.base.named(name);
            sizes.extend(
                olds.flat_map(|(_, old)| old.provides.iter().filter_map(|text| size_of(text))),
            );
        }
        if sizes.is_empty() {
            return wanted == "64" && name.starts_with("lib32-");
        }
        !sizes.contains(&wanted)
    }

    /// Predicts whether a library will have the needed soname. A package with the same version as in base keeps the
    /// soname. If the first number of the version changes, the soname is expected to change, as in most libraries,
    /// unless the request says otherwise.
    fn certainty(&self, package: u32, wanted: &Relation<'_>) -> Certainty {
        let (Some(now), Some((old, is_own))) =
            (self.version(package), self.before(package, wanted))
        else {
            return Certainty::Certain;
        };
        let (before, now) = (old.version.without_pkgrel(), now.without_pkgrel());
        if before == now || self.context.request.keeps_sonames {
            Certainty::Certain
        } else if is_own && soname_generation(before) != soname_generation(now) {
            Certainty::Unlikely
        } else {
            Certainty::Possible
        }
    }

    /// Returns the package of base that provides the needed soname, and whether it has the name of the given package.
    fn before(&self, package: u32, wanted: &Relation<'_>) -> Option<(&'e BasePackage, bool)> {
        let (world, base) = (self.context.world, self.base);
        let name = world.name_text(world.node(package).name);
        let own = base.named(name).map(|(_, old)| (old, true));
        let others = base.provided(wanted.name).map(|(_, old)| (old, false));
        let mut all = own.chain(others);
        all.find(|(old, _)| old.provides_for(wanted))
    }

    /// Explains why a library might not have the needed soname.
    pub(super) fn explain_uncertainty(
        &self,
        package: u32,
        text: &str,
        certainty: Certainty,
    ) -> String {
        let wanted = Relation::split(text);
        let world = self.context.world;
        let name = world.name_text(world.node(package).name);
        let how = match certainty {
            Certainty::Unlikely => "is expected to",
            Certainty::Certain | Certainty::Possible => "may",
        };
        let before = self.before(package, &wanted);
        let before = before.map_or("", |(old, _)| old.version.as_str());
        let now = self.version(package).map_or("", PackageVersion::as_str);
        format!("{name} {how} change its soname between {before} and {now}")
    }

    /// Returns the sonames that makepkg writes for a bare library dependency if the package is built with the old
    /// library: those of its package in base or, if base does not have it, that of the library in base.
    pub(super) fn old_sonames(&self, package: u32, text: &str, is_32: bool) -> Vec<String> {
        let wanted = Relation::split(text);
        if wanted.comparison != Comparison::Any || !wanted.name.ends_with(".so") {
            return Vec::new();
        }
        let (world, base) = (self.context.world, self.base);
        let is_number = |text: &str| {
            let other = Relation::split(text);
            other.name == wanted.name
                && other.comparison == Comparison::Equal
                && size(other.version).is_some()
        };
        let name = world.name_text(world.node(package).name);
        if let Some((_, own)) = base.named(name).next() {
            let numbers = own.depends.iter().filter(|text| is_number(text));
            return numbers.map(ToString::to_string).collect();
        }
        let preferred = if is_32 { "32" } else { "64" };
        let provided = base.provided(wanted.name).map(|(_, library)| {
            let provides = library.provides.iter();
            let numbers = provides.filter(|text| {
                is_number(text) && size(Relation::split(text).version) == Some(preferred)
            });
            numbers.map(ToString::to_string).collect::<Vec<_>>()
        });
        let first = provided.into_iter().find(|numbers| !numbers.is_empty());
        // With several sonames it is unknown which one the package links.
        first
            .filter(|numbers| numbers.len() == 1)
            .unwrap_or_default()
    }
}

fn rank_of(certainty: Certainty) -> Rank {
    match certainty {
        Certainty::Certain => Rank::NewNumber,
        Certainty::Possible | Certainty::Unlikely => Rank::Uncertain,
    }
}
