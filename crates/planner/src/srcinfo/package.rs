//! Source packages in their stored form: a few short lines, kept as text and parsed on demand.
//!
//! An index holds 35,000 packages in memory, and the server loads them at every start. One text per package is small
//! and loads without parsing, and each accessor is one pass over about a kilobyte. Each line is a tag, a space and a
//! value: `b` pkgbase, `v` version, `a` architecture, `d` `m` `c` depends, makedepends and checkdepends, `p` provides,
//! `s` source, `n` begins a package, `!` is a problem. `d:x86_64` is for one architecture. In a package, a tag without
//! a value clears the field of the base.

use buildbtw_model::{Architecture, PackageVersion, Pkgbase, Pkgname};

use super::error::SrcinfoError;
use super::field::Field;
use super::limits;
use super::overrides::Change;
use super::stored::{Line, lines};

/// A source package: the parts of its `.SRCINFO` that planning needs.
///
/// It serialises as one string, the stored form, which [`SourcePackage::as_stored`] also returns.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourcePackage {
    pkgbase: Pkgbase,
    version: PackageVersion,
    pkgnames: Box<[Pkgname]>,
    stored: Box<str>,
    /// The offset of the first package's section.
    base_end: usize,
    /// Nearly always false, which saves every plan a search of the text.
    has_problems: bool,
}

/// A line of an `.SRCINFO` that is ignored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LineProblem {
    /// The number of the line, from 1; 0 if the problem concerns the whole file.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A package that a source package produces.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    source: &'a SourcePackage,
    pkgname: &'a Pkgname,
    /// The lines of its section.
    section: &'a str,
}

/// Returns the offset of the next package's section.
fn next_package(section: &str) -> Option<usize> {
    let found = memchr::memmem::find(section.as_bytes(), b"\nn ")?;
    Some(found + 1)
}

/// Returns the end of the base's section.
fn base_end(stored: &str) -> usize {
    next_package(stored).unwrap_or(stored.len())
}

/// Returns whether the last line is a problem. Problems are written last.
fn ends_with_problem(stored: &str) -> bool {
    let last = stored.lines().next_back();
    last.is_some_and(|line| line.starts_with('!'))
}

fn applies(line: &Line<'_>, architecture: &Architecture) -> bool {
    line.architecture.is_empty() || line.architecture == architecture.as_str()
}

impl SourcePackage {
    pub(super) fn new(
        pkgbase: Pkgbase,
        version: PackageVersion,
        pkgnames: Vec<Pkgname>,
        stored: String,
    ) -> Result<Self, SrcinfoError> {
        let base_end = base_end(&stored);
        limits::check_stored(&stored, base_end, pkgnames.len())?;
        Ok(Self {
            pkgbase,
            version,
            pkgnames: pkgnames.into(),
            has_problems: ends_with_problem(&stored),
            base_end,
            stored: stored.into(),
        })
    }

    /// Returns the stored form, which [`SourcePackage::from_stored`] reads.
    #[must_use]
    pub fn as_stored(&self) -> &str {
        &self.stored
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// Fails if the text was not returned by [`SourcePackage::as_stored`], or exceeds a limit.
    pub fn from_stored(stored: impl Into<Box<str>>) -> Result<Self, SrcinfoError> {
        let stored = stored.into();
        let mut head = stored.lines();
        let mut value = |tag: &str| {
            let line = head.next().unwrap_or_default();
            line.strip_prefix(tag)
                .ok_or_else(|| SrcinfoError::NotStored(line.chars().take(60).collect()))
        };
        let pkgbase = value("b ")?.parse()?;
        let version = value("v ")?.parse()?;
        // Most packages have the name of their base, which has been validated.
        let pkgbase: Pkgbase = pkgbase;
        let pkgname = |name: &str| {
            if name == pkgbase.as_str() {
                Ok(pkgbase.to_pkgname())
            } else {
                name.parse()
            }
        };
        let pkgnames = lines(&stored, b'n')
            .map(|line| pkgname(line.value))
            .collect::<Result<Box<[Pkgname]>, _>>()?;
        if pkgnames.is_empty() {
            return Err(SrcinfoError::Missing("pkgname"));
        }
        let base_end = base_end(&stored);
        limits::check_stored(&stored, base_end, pkgnames.len())?;
        Ok(Self {
            pkgbase,
            version,
            pkgnames,
            has_problems: ends_with_problem(&stored),
            base_end,
            stored,
        })
    }

    /// Returns the name of the source package.
    #[must_use]
    pub fn pkgbase(&self) -> &Pkgbase {
        &self.pkgbase
    }

    /// Returns the version of all its packages.
    #[must_use]
    pub fn version(&self) -> &PackageVersion {
        &self.version
    }

    /// Returns the names of the packages it produces, in the order of the `PKGBUILD`.
    #[must_use]
    pub fn pkgnames(&self) -> &[Pkgname] {
        &self.pkgnames
    }

    /// Returns the section of the base.
    fn base(&self) -> &str {
        self.stored.get(..self.base_end).unwrap_or(&self.stored)
    }

    /// Returns the architectures of the base: `any`, or those it can be built for.
    #[must_use]
    pub fn architectures(&self) -> Vec<Architecture> {
        architectures(self.base())
    }

    /// Returns the packages it produces, for all architectures.
    pub fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        let base = self.base().len();
        let mut rest = self.stored.get(base..).unwrap_or_default();
        self.pkgnames.iter().map(move |pkgname| {
            let end = next_package(rest).unwrap_or(rest.len());
            let (section, next) = rest.split_at(end);
            rest = next;
            Package {
                source: self,
                pkgname,
                section,
            }
        })
    }

    /// Returns whether it produces a package for this architecture or for `any`.
    #[must_use]
    pub fn builds_for(&self, architecture: &Architecture) -> bool {
        self.pkgnames_for(architecture).next().is_some()
    }

    /// Returns whether every package is for `any`, so that one build serves all architectures.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.packages()
            .all(|package| package.architectures().iter().any(Architecture::is_any))
    }

    /// Returns the packages that a build for this architecture produces, with the architecture in their file name: this
    /// one or `any`.
    pub fn pkgnames_for(
        &self,
        architecture: &Architecture,
    ) -> impl Iterator<Item = (&Pkgname, Architecture)> {
        self.packages().filter_map(move |package| {
            let found = package
                .architectures()
                .into_iter()
                .find(|own| own.is_any() || own == architecture)?;
            Some((package.pkgname, found))
        })
    }

    fn base_values(&self, field: Field, architecture: &Architecture) -> Vec<&str> {
        lines(self.base(), field as u8)
            .filter(|line| applies(line, architecture))
            .map(|line| line.value)
            .collect()
    }

    /// Returns the base's run-time dependencies, which makepkg also installs before a build.
    #[must_use]
    pub fn depends(&self, architecture: &Architecture) -> Vec<&str> {
        self.base_values(Field::Depends, architecture)
    }

    /// Returns its build dependencies.
    #[must_use]
    pub fn makedepends(&self, architecture: &Architecture) -> Vec<&str> {
        self.base_values(Field::Makedepends, architecture)
    }

    /// Returns the dependencies of its tests.
    #[must_use]
    pub fn checkdepends(&self, architecture: &Architecture) -> Vec<&str> {
        self.base_values(Field::Checkdepends, architecture)
    }

    /// Returns what makepkg installs before a build: the base's `depends`, `makedepends` and `checkdepends` with those
    /// of the architecture, in pacman's notation.
    #[must_use]
    pub fn build_dependencies(&self, architecture: &Architecture) -> Vec<&str> {
        [Field::Depends, Field::Makedepends, Field::Checkdepends]
            .into_iter()
            .flat_map(|field| self.base_values(field, architecture))
            .collect()
    }

    /// Returns the sources for an architecture, as written in the `PKGBUILD`.
    #[must_use]
    pub fn sources(&self, architecture: &Architecture) -> Vec<&str> {
        self.base_values(Field::Source, architecture)
    }

    /// Returns the ignored lines of the `.SRCINFO`.
    #[must_use]
    pub fn problems(&self) -> Vec<LineProblem> {
        if !self.has_problems {
            return Vec::new();
        }
        lines(&self.stored, b'!')
            .filter_map(|line| {
                let (number, reason) = line.value.split_once(' ')?;
                Some(LineProblem {
                    line: number.parse().ok()?,
                    reason: reason.to_owned(),
                })
            })
            .collect()
    }

    /// Returns the base's lines of a field of build dependencies, for every architecture.
    pub(crate) fn build_lines(&self, kind: BuildField) -> impl Iterator<Item = Line<'_>> {
        let field = match kind {
            BuildField::Depends => Field::Depends,
            BuildField::Makedepends => Field::Makedepends,
            BuildField::Checkdepends => Field::Checkdepends,
        };
        lines(self.base(), field as u8)
    }
}

/// The fields whose packages makepkg installs before a build.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BuildField {
    Depends,
    Makedepends,
    Checkdepends,
}

fn architectures(section: &str) -> Vec<Architecture> {
    lines(section, b'a')
        .filter_map(|line| line.value.parse().ok())
        .collect()
}

impl<'a> Package<'a> {
    /// Returns its name.
    #[must_use]
    pub fn pkgname(&self) -> &'a Pkgname {
        self.pkgname
    }

    /// Returns its own architectures, or the base's if it has none.
    #[must_use]
    pub fn architectures(&self) -> Vec<Architecture> {
        self.architecture_names()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// Returns its architectures as text, without a copy.
    pub(crate) fn architecture_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let own = lines(self.section, b'a').next().is_some();
        let section = if own {
            self.section
        } else {
            self.source.base()
        };
        lines(section, b'a').map(|line| line.value)
    }

    /// Returns its run-time dependencies on an architecture, after overrides.
    #[must_use]
    pub fn depends(&self, architecture: &Architecture) -> Vec<&'a str> {
        self.values(Field::Depends, architecture)
    }

    /// Returns its provisions on an architecture, without its own name, after overrides.
    #[must_use]
    pub fn provides(&self, architecture: &Architecture) -> Vec<&'a str> {
        self.values(Field::Provides, architecture)
    }

    fn values(&self, field: Field, architecture: &Architecture) -> Vec<&'a str> {
        self.effective(field)
            .filter(|line| applies(line, architecture))
            .map(|line| line.value)
            .collect()
    }

    pub(crate) fn depends_lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.effective(Field::Depends)
    }

    pub(crate) fn provides_lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.effective(Field::Provides)
    }

    /// Returns the lines of a field as makepkg writes them into the package. Before `package()` runs, makepkg appends
    /// the base's values for the architecture to those without architecture (`merge_arch_attrs`). So a field without
    /// architecture in the package replaces both, and a field with architecture is appended. With `+=`, the `.SRCINFO`
    /// repeats the base's values first; those for the architecture are kept.
    fn effective(&self, field: Field) -> impl Iterator<Item = Line<'a>> + use<'a> {
        let (base, section) = (self.source.base(), self.section);
        let change = Change::of(base, section, field);
        let inherited = lines(base, field as u8).filter(move |line| match change {
            Change::Nothing => true,
            Change::Added => !line.architecture.is_empty(),
            Change::Replaced => false,
        });
        let own = lines(section, field as u8).filter(|line| !line.value.is_empty());
        inherited.chain(own)
    }
}

impl TryFrom<String> for SourcePackage {
    type Error = SrcinfoError;

    fn try_from(stored: String) -> Result<Self, Self::Error> {
        Self::from_stored(stored)
    }
}

impl From<SourcePackage> for String {
    fn from(package: SourcePackage) -> Self {
        package.stored.into()
    }
}
