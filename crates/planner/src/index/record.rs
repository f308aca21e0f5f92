//! What the index keeps of a source package: its relations as numbers.

use std::sync::Arc;

use crate::srcinfo::{BuildField, SourcePackage};

/// Which dependency a relation is. The order is that of hardness: when a cycle must be broken, the
/// least goes first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// `depends` of a package, which its own build does not install.
    Package,
    /// `checkdepends`
    Checkdepends,
    /// `makedepends`
    Makedepends,
    /// `depends` of the base.
    Depends,
}

impl DependencyKind {
    /// Every kind, the softest first.
    pub const ALL: [Self; 4] = [
        Self::Package,
        Self::Checkdepends,
        Self::Makedepends,
        Self::Depends,
    ];

    /// The kind as an `.SRCINFO` lists it, where a package's own dependencies are `depends` too.
    pub(crate) fn listed(self) -> Self {
        match self {
            Self::Package => Self::Depends,
            Self::Checkdepends | Self::Makedepends | Self::Depends => self,
        }
    }

    /// The name of the field in an `.SRCINFO`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Package | Self::Depends => "depends",
            Self::Makedepends => "makedepends",
            Self::Checkdepends => "checkdepends",
        }
    }
}

impl std::fmt::Display for DependencyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Stands for "every architecture" in [`Use::architecture`].
pub(crate) const EVERY_ARCHITECTURE: u32 = u32::MAX;

/// A relation in a field of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) relation: u32,
    /// The number of an architecture's name, or [`EVERY_ARCHITECTURE`].
    pub(crate) architecture: u32,
    pub(crate) kind: DependencyKind,
}

/// A package (pkgname) that a base produces.
#[derive(Clone, Debug)]
pub(crate) struct NodeRecord {
    pub(crate) base: u32,
    /// Which of the base's pkgnames it is.
    pub(crate) position: u32,
    /// The number of its name.
    pub(crate) name: u32,
    /// The number of its list of architectures.
    pub(crate) architectures: u32,
    pub(crate) depends: Box<[Use]>,
    pub(crate) provides: Box<[Use]>,
}

impl Default for NodeRecord {
    fn default() -> Self {
        Self {
            base: u32::MAX,
            position: 0,
            name: u32::MAX,
            architectures: u32::MAX,
            depends: Box::default(),
            provides: Box::default(),
        }
    }
}

/// A source package.
#[derive(Clone, Debug)]
pub(crate) struct BaseRecord {
    pub(crate) source: Arc<SourcePackage>,
    /// Its packages.
    pub(crate) nodes: Box<[u32]>,
    /// What its build installs.
    pub(crate) build: Box<[Use]>,
}

/// Who mentions a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// A node for a run-time dependency, a base for a build dependency.
    pub(crate) id: u32,
    pub(crate) architecture: u32,
}

/// The uses of each distinct relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    pub(crate) nodes: Vec<User>,
    pub(crate) bases: Vec<User>,
}

/// A package that provides a name, besides the one that is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) node: u32,
    /// The provision, which holds its version; [`OWN_NAME`] for the package's own name.
    pub(crate) provision: u32,
    pub(crate) architecture: u32,
}

/// Stands for a package's own name in [`Provider::provision`].
pub(crate) const OWN_NAME: u32 = u32::MAX;

/// Gives numbers to the texts that occur in packages. The index numbers its own; the changed
/// origins of a plan continue its numbers without touching it.
pub(crate) trait Numbering {
    fn name(&mut self, text: &str) -> u32;
    fn relation(&mut self, text: &str) -> u32;
    fn architecture(&mut self, text: &str) -> u32;
    fn architectures(&mut self, list: &str) -> u32;
}

/// Turns the text of a package into numbers. The nodes get their number from whoever asks.
pub(crate) fn records(
    source: &Arc<SourcePackage>,
    base: u32,
    numbering: &mut impl Numbering,
) -> (Box<[Use]>, Vec<NodeRecord>) {
    let mut build = Vec::new();
    for (field, kind) in [
        (BuildField::Depends, DependencyKind::Depends),
        (BuildField::Makedepends, DependencyKind::Makedepends),
        (BuildField::Checkdepends, DependencyKind::Checkdepends),
    ] {
        for line in source.build_lines(field) {
            build.push(use_of(line.value, line.architecture, kind, numbering));
        }
    }
    let mut nodes = Vec::with_capacity(source.pkgnames().len());
    for (position, package) in (0..).zip(source.packages()) {
        let mut list: Vec<&str> = package.architecture_names().collect();
        list.sort_unstable();
        list.dedup();
        let kind = DependencyKind::Package;
        nodes.push(NodeRecord {
            base,
            position,
            name: numbering.name(package.pkgname().as_str()),
            architectures: numbering.architectures(&list.join(" ")),
            depends: package
                .depends_lines()
                .map(|line| use_of(line.value, line.architecture, kind, numbering))
                .collect(),
            provides: package
                .provides_lines()
                .map(|line| use_of(line.value, line.architecture, kind, numbering))
                .collect(),
        });
    }
    (build.into(), nodes)
}

fn use_of(
    value: &str,
    architecture: &str,
    kind: DependencyKind,
    numbering: &mut impl Numbering,
) -> Use {
    Use {
        relation: numbering.relation(value),
        architecture: if architecture.is_empty() {
            EVERY_ARCHITECTURE
        } else {
            numbering.architecture(architecture)
        },
        kind,
    }
}
