//! The shared libraries that packages contain and link, as read from built packages.
//!
//! A program that links a library without declaring it in its `PKGBUILD` also breaks when the library's soname changes.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

/// The soname of a shared library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Soname {
    /// The name: `libfoo.so.1`.
    pub name: Arc<str>,
    /// Whether it is a 64-bit library. The same name with 32 bits is a different library.
    pub is_64_bit: bool,
}

impl Soname {
    /// Returns the library that a dependency or provision of a built package names: `libfoo.so=1-64` and
    /// `lib:libfoo.so.1` are `libfoo.so.1`. Returns `None` for any other relation.
    #[must_use]
    pub fn of_relation(relation: &str) -> Option<Self> {
        let soname = |name: &str, is_64_bit| {
            crate::relation::is_soname(name).then(|| Self {
                name: name.into(),
                is_64_bit,
            })
        };
        if let Some((prefix, name)) = relation.split_once(':') {
            return match prefix {
                "lib" => soname(name, true),
                "lib32" => soname(name, false),
                _ => None,
            };
        }
        let (name, version) = relation.split_once('=')?;
        let (number, bits) = version.rsplit_once('-')?;
        let is_64_bit = match bits {
            "64" => true,
            "32" => false,
            _ => return None,
        };
        soname(&format!("{name}.{number}"), is_64_bit).filter(|_| name.ends_with(".so"))
    }
}

/// The libraries that packages contain and link, by pkgname.
#[derive(Clone, Debug, Default)]
pub struct Sonames {
    libraries: Bidirectional,
    links: Bidirectional,
}

#[derive(Clone, Debug, Default)]
struct Bidirectional {
    of: FxHashMap<Box<str>, UniqueList>,
    by: FxHashMap<Soname, Vec<Box<str>>>,
}

/// A list of distinct libraries in insertion order.
#[derive(Clone, Debug, Default)]
struct UniqueList {
    list: Vec<Soname>,
    /// The elements of a long list; empty for a short one.
    known: FxHashSet<Soname>,
}

impl UniqueList {
    /// A package has a few libraries and links some dozens. Packages can declare more, so that long lists need a set.
    const SHORT: usize = 32;

    /// Adds a library; returns false if the list already contains it.
    fn add(&mut self, soname: &Soname) -> bool {
        if self.list.len() < Self::SHORT {
            if self.list.contains(soname) {
                return false;
            }
        } else {
            if self.known.is_empty() {
                self.known.extend(self.list.iter().cloned());
            }
            if !self.known.insert(soname.clone()) {
                return false;
            }
        }
        self.list.push(soname.clone());
        true
    }
}

impl Bidirectional {
    fn add(&mut self, pkgname: &str, soname: &Soname) {
        if self.of.entry(pkgname.into()).or_default().add(soname) {
            self.by
                .entry(soname.clone())
                .or_default()
                .push(pkgname.into());
        }
    }

    fn of(&self, pkgname: &str) -> &[Soname] {
        let listed = self.of.get(pkgname);
        listed.map(|listed| &*listed.list).unwrap_or_default()
    }

    fn by(&self, soname: &Soname) -> &[Box<str>] {
        self.by.get(soname).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Sonames {
    /// Records that a package contains a library.
    pub fn add_library(&mut self, pkgname: &str, soname: &Soname) {
        self.libraries.add(pkgname, soname);
    }

    /// Records that a file of a package links a library.
    pub fn add_link(&mut self, pkgname: &str, soname: &Soname) {
        self.links.add(pkgname, soname);
    }

    /// Returns the packages that link a library of this one.
    pub(crate) fn linked_by(&self, pkgname: &str) -> impl Iterator<Item = (&Soname, &str)> {
        let libraries = self.libraries.of(pkgname).iter();
        libraries.flat_map(move |soname| {
            self.links
                .by(soname)
                .iter()
                .map(move |user| (soname, &**user))
        })
    }

    /// Returns the packages that contain a library that this one links.
    pub(crate) fn libraries_of(&self, pkgname: &str) -> impl Iterator<Item = (&Soname, &str)> {
        let linked = self.links.of(pkgname).iter();
        linked.flat_map(move |soname| {
            self.libraries
                .by(soname)
                .iter()
                .map(move |owner| (soname, &**owner))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_duplicate_libraries_once() {
        let mut sonames = Sonames::default();
        for number in (0..100).chain(0..200) {
            let name = format!("lib{number:03}.so.1").into();
            let soname = Soname {
                name,
                is_64_bit: true,
            };
            sonames.add_library("many", &soname);
            sonames.add_link("user", &soname);
        }
        let linked: Vec<&str> = sonames.linked_by("many").map(|(_, user)| user).collect();
        assert_eq!(linked, ["user"; 200]);
        assert_eq!(sonames.libraries_of("user").count(), 200);
    }

    #[test]
    fn reads_libraries_from_relations_of_built_packages() {
        for (relation, expected) in [
            ("libfoo.so=1-64", Some(("libfoo.so.1", true))),
            ("libfoo.so=1-32", Some(("libfoo.so.1", false))),
            ("libfoo-2.0.so=0-64", Some(("libfoo-2.0.so.0", true))),
            ("lib:libfoo.so.1.2", Some(("libfoo.so.1.2", true))),
            ("lib32:libfoo.so.1", Some(("libfoo.so.1", false))),
            ("libfoo.so", None),
            ("libfoo.so=-64", None),
            ("libfoo", None),
            ("libfoo=1-64", None),
            ("cmd:libfoo.so.1", None),
        ] {
            let found = Soname::of_relation(relation);
            let found = found
                .as_ref()
                .map(|soname| (&*soname.name, soname.is_64_bit));
            assert_eq!(found, expected, "{relation}");
        }
    }
}
