//! Who satisfies a relation in the environment of a build, and what is known of the numbers of libraries.

use buildbtw_model::PackageVersion;

use super::items::{Answer, Item, Offer};
use super::stock::Stock;
use crate::base::BasePackage;
use crate::relation::{Comparison, Relation};

/// In which order packages are taken that satisfy a relation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    New,
    /// By the number that it will have.
    NewNumber,
    Base,
    /// A library for programs of the other size.
    OtherSize,
    Doubtful,
}

/// The end of a number that says for which programs a library is.
fn size(version: &str) -> Option<&'static str> {
    ["64", "32"].into_iter().find(|size| {
        version
            .rsplit_once('-')
            .is_some_and(|(_, end)| end == *size)
    })
}

impl<'e> Stock<'e, '_> {
    /// The packages that satisfy a relation, in pacman's order: by name before by what is provided, and
    /// new packages before those of base. A relation of a built package is literal: what is built from
    /// source finds the number that is there.
    pub(super) fn offers(&mut self, text: &str, is_literal: bool, is_32: bool) -> Vec<Offer> {
        let wanted = Relation::split(text);
        let base = self.base;
        let mut offers = Vec::new();
        for package in self.made(wanted.name).to_vec() {
            if wanted.is_met_by(self.version(package).map(PackageVersion::as_str)) {
                offers.push(self.offer(Item::New(package), Answer::Yes, true));
            }
        }
        for (at, old) in base.named(wanted.name) {
            if wanted.is_met_by(Some(old.version.as_str())) {
                offers.push(self.offer(Item::Base(at), Answer::Yes, true));
            }
        }
        let mut provided = Vec::new();
        for &package in self.provided.get(wanted.name).into_iter().flatten() {
            if let Some((rank, answer)) = self.provides(package, &wanted, is_literal, is_32) {
                provided.push((rank, Item::New(package), answer));
            }
        }
        if is_literal && provided.is_empty() {
            self.unwritten(&wanted, &mut provided);
        }
        for (at, old) in base.provided(wanted.name) {
            if old.provides_for(&wanted) {
                provided.push((Rank::Base, Item::Base(at), Answer::Yes));
            }
        }
        provided.sort_by_key(|(rank, ..)| *rank);
        for (_, item, answer) in provided {
            offers.push(self.offer(item, answer, false));
        }
        offers
    }

    fn offer(&mut self, item: Item, answer: Answer, is_by_name: bool) -> Offer {
        Offer {
            entry: self.entry(item),
            answer,
            is_by_name,
        }
    }

    /// Whether what a member's package provides satisfies a relation.
    fn provides(
        &self,
        package: u32,
        wanted: &Relation<'_>,
        is_literal: bool,
        is_32: bool,
    ) -> Option<(Rank, Answer)> {
        let world = self.parts.world;
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
                return Some((rank, Answer::Yes));
            }
            if wanted.may_be_met_by(&provision) && !is_other_size() {
                let answer = if is_literal {
                    self.answer(package, wanted)
                } else {
                    Answer::Yes
                };
                found = Some((rank_of(answer), answer));
            }
        }
        found
    }

    /// Libraries that makepkg finds in packages by itself (`lib:libx.so.1`), of which `.SRCINFO` says
    /// nothing: those of the packages that take the place of the ones that had them.
    fn unwritten(&self, wanted: &Relation<'_>, found: &mut Vec<(Rank, Item, Answer)>) {
        if !wanted.name.starts_with("lib:") && !wanted.name.starts_with("lib32:") {
            return;
        }
        for (_, old) in self.base.provided(wanted.name) {
            if old.provides_for(wanted) {
                for &package in self.made(old.name.as_str()) {
                    let answer = self.answer(package, wanted);
                    found.push((rank_of(answer), Item::New(package), answer));
                }
            }
        }
    }

    /// Whether the library of a member's package is for programs of another size, as far as that is known.
    fn has_other_size(&self, package: u32, library: &str, wanted: &str) -> bool {
        let world = self.parts.world;
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

    /// Whether a library whose number is not known yet will have the one that is needed. With the version of
    /// base it keeps the number of base. With another first number in its version it is expected to get
    /// another one, as most libraries do, unless the request says otherwise.
    fn answer(&self, package: u32, wanted: &Relation<'_>) -> Answer {
        let (Some(now), Some((old, is_own))) =
            (self.version(package), self.before(package, wanted))
        else {
            return Answer::Yes;
        };
        let (before, now) = (old.version.without_pkgrel(), now.without_pkgrel());
        if before == now || self.parts.request.keeps_sonames {
            Answer::Yes
        } else if is_own && generation(before) != generation(now) {
            Answer::Hardly
        } else {
            Answer::Perhaps
        }
    }

    /// The package of base that has a library with the needed number, and whether it is of the same name.
    fn before(&self, package: u32, wanted: &Relation<'_>) -> Option<(&'e BasePackage, bool)> {
        let (world, base) = (self.parts.world, self.base);
        let name = world.name_text(world.node(package).name);
        let own = base.named(name).map(|(_, old)| (old, true));
        let others = base.provided(wanted.name).map(|(_, old)| (old, false));
        let mut all = own.chain(others);
        all.find(|(old, _)| old.provides_for(wanted))
    }

    /// Why a library may not have the number that is needed.
    pub(super) fn doubt(&self, package: u32, text: &str, answer: Answer) -> String {
        let wanted = Relation::split(text);
        let world = self.parts.world;
        let name = world.name_text(world.node(package).name);
        let how = match answer {
            Answer::Hardly => "is expected to",
            Answer::Yes | Answer::Perhaps => "may",
        };
        let before = self.before(package, &wanted);
        let before = before.map_or("", |(old, _)| old.version.as_str());
        let now = self.version(package).map_or("", PackageVersion::as_str);
        format!("{name} {how} change its soname between {before} and {now}")
    }

    /// What makepkg makes of a bare library that a package needs when it is built with the old one: what its
    /// package in base says, or the number that base has.
    pub(super) fn old_numbers(&self, package: u32, text: &str, is_32: bool) -> Vec<String> {
        let wanted = Relation::split(text);
        if wanted.comparison != Comparison::Any || !wanted.name.ends_with(".so") {
            return Vec::new();
        }
        let (world, base) = (self.parts.world, self.base);
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
        // Of several nobody knows which one it links.
        first
            .filter(|numbers| numbers.len() == 1)
            .unwrap_or_default()
    }
}

fn rank_of(answer: Answer) -> Rank {
    match answer {
        Answer::Yes => Rank::NewNumber,
        Answer::Perhaps | Answer::Hardly => Rank::Doubtful,
    }
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
