//! Packages that environments can contain, and the requirements that they satisfy.

/// A package that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// A new package of a member, by its number.
    New(u32),
    /// A package of base, by its position.
    Base(u32),
}

/// A package that environments may contain, with its dependencies.
pub(super) struct Entry {
    pub(super) item: Item,
    /// The member that produces it; [`OUTSIDE`](crate::plan::members::OUTSIDE) for a package of base.
    pub(super) member: u32,
    /// The members whose packages replace it once they are built.
    pub(super) replaced_by: Vec<u32>,
    pub(super) dependencies: Vec<Dependency>,
    /// Whether its dependencies, or those of a package that it may pull in, might not be satisfied.
    pub(super) is_risky: bool,
}

/// A dependency of a package.
pub(super) struct Dependency {
    pub(super) requirement: u32,
    /// The requirements that replace it if the package was built with the old library: the same library with the old
    /// soname. Empty if the soname is known not to change.
    pub(super) before: Vec<u32>,
}

/// A relation with the packages that satisfy it.
pub(super) struct Requirement {
    pub(super) text: Box<str>,
    /// The number of the relation, if it is in an `.SRCINFO`.
    pub(super) relation: Option<u32>,
    /// In the order of preference.
    pub(super) satisfiers: Vec<Satisfier>,
    /// Whether it is satisfied whatever has been built.
    pub(super) is_safe: bool,
}

/// How certain it is that a package satisfies a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    Certain,
    /// Its soname may change.
    Possible,
    /// Its soname is expected to change.
    Unlikely,
}

/// A package that satisfies a relation if it is available.
#[derive(Clone, Copy, Debug)]
pub(super) struct Satisfier {
    pub(super) entry: u32,
    pub(super) certainty: Certainty,
    /// Whether the relation names the package itself and not a provision.
    pub(super) is_by_name: bool,
}
