//! What environments of builds can hold, and who satisfies what.

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
    pub(super) dependencies: Vec<Dependency>,
    /// Whether it, or something that it may pull in, may not be satisfied.
    pub(super) is_risky: bool,
}

/// A dependency of a package.
pub(super) struct Dependency {
    pub(super) requirement: u32,
    /// What it is where the package was built with the old library: the same with the old number. Nothing
    /// where the number is known to stay.
    pub(super) before: Vec<u32>,
}

/// A relation, and who satisfies it.
pub(super) struct Requirement {
    pub(super) text: Box<str>,
    /// Its number, if an `.SRCINFO` has it.
    pub(super) relation: Option<u32>,
    /// In the order in which they are taken.
    pub(super) satisfiers: Vec<Satisfier>,
    /// Whether it is satisfied whatever was built.
    pub(super) is_safe: bool,
}

/// Whether a package satisfies a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    Certain,
    /// It may get another number.
    Possible,
    /// It is expected to get another number.
    Unlikely,
}

/// A package that satisfies a relation where it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Satisfier {
    pub(super) entry: u32,
    pub(super) certainty: Certainty,
    /// Whether it is called so, and does not only provide it.
    pub(super) is_by_name: bool,
}
