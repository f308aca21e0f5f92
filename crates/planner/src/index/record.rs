//! The records of the index: source packages with numbered relations.

use std::sync::Arc;

use crate::srcinfo::{BuildField, SourcePackage};

/// The kind of a dependency, from the softest to the hardest: when a cycle must be broken, the softest is relaxed
/// first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// `depends` of a package, which the build itself does not install.
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

    /// Returns the kind as listed in an `.SRCINFO`, where a package's own dependencies are also `depends`.
    pub(crate) fn listed(self) -> Self {
        match self {
            Self::Package => Self::Depends,
            Self::Checkdepends | Self::Makedepends | Self::Depends => self,
        }
    }

    /// Returns the name of the field in an `.SRCINFO`.
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

/// Means "every architecture" in [`RelationUse::architecture`].
pub(crate) const EVERY_ARCHITECTURE: u32 = u32::MAX;

/// A use of a relation in a field of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelationUse {
    pub(crate) relation: u32,
    /// The number of an architecture's name, or [`EVERY_ARCHITECTURE`].
    pub(crate) architecture: u32,
    pub(crate) kind: DependencyKind,
}

/// A package (pkgname) of a base.
#[derive(Clone, Debug)]
pub(crate) struct NodeRecord {
    pub(crate) base: u32,
    /// Its position among the base's pkgnames.
    pub(crate) position: u32,
    /// The number of its name.
    pub(crate) name: u32,
    /// The number of its list of architectures.
    pub(crate) architectures: u32,
    pub(crate) depends: Box<[RelationUse]>,
    pub(crate) provides: Box<[RelationUse]>,
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
    /// The numbers of its packages.
    pub(crate) nodes: Box<[u32]>,
    /// The dependencies that its build installs.
    pub(crate) build: Box<[RelationUse]>,
}

/// A package or base that uses a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The number of a node for a run-time dependency, of a base for a build dependency.
    pub(crate) id: u32,
    pub(crate) architecture: u32,
}

/// The users of a relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    pub(crate) nodes: Vec<User>,
    pub(crate) bases: Vec<User>,
}

/// A package that has or provides a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) node: u32,
    /// The provision, with its version; [`OWN_NAME`] for the package's own name.
    pub(crate) provision: u32,
    pub(crate) architecture: u32,
}

/// Means the package's own name in [`Provider::provision`].
pub(crate) const OWN_NAME: u32 = u32::MAX;

/// Assigns numbers to the texts in packages. The index numbers its own texts; the changed origins of a plan continue
/// these numbers without modifying the index.
pub(crate) trait Numbering {
    fn name(&mut self, text: &str) -> u32;
    fn relation(&mut self, text: &str) -> u32;
    fn architecture(&mut self, text: &str) -> u32;
    fn architectures(&mut self, list: &str) -> u32;
}

/// Converts a source package to records with numbered texts. The caller assigns the numbers of the nodes.
pub(crate) fn records(
    source: &Arc<SourcePackage>,
    base: u32,
    numbering: &mut impl Numbering,
) -> (Box<[RelationUse]>, Vec<NodeRecord>) {
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
) -> RelationUse {
    RelationUse {
        relation: numbering.relation(value),
        architecture: if architecture.is_empty() {
            EVERY_ARCHITECTURE
        } else {
            numbering.architecture(architecture)
        },
        kind,
    }
}
