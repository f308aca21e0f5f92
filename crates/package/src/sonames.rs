//! The shared libraries that a package contains, and those that its programs and libraries link.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::elf::Elf;

/// The largest number of names of each kind; the largest packages have some hundred.
const MAX_NAMES: usize = 5_000;

/// The name by which programs link a shared library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Soname {
    /// The name, for example `libfoo.so.1`.
    pub name: String,
    /// Whether it is a 64-bit library.
    pub is_64_bit: bool,
}

/// The libraries that a package contains and links. As text, they are lines like `has 64 libfoo.so.1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sonames {
    /// Libraries in the default search folders of the dynamic linker.
    pub has: BTreeSet<Soname>,
    /// Libraries that programs and libraries of the package link.
    pub links: BTreeSet<Soname>,
}

impl Sonames {
    /// Adds the names of a program or library at a path.
    pub(crate) fn add(&mut self, path: &[u8], elf: Elf) {
        let Elf {
            is_64_bit,
            soname,
            needed,
        } = elf;
        let add = |set: &mut BTreeSet<Soname>, name: String| {
            if set.len() < MAX_NAMES {
                set.insert(Soname { name, is_64_bit });
            }
        };
        if let Some(file) = library_name(path) {
            // A library without a soname is linked by its file name.
            let file = || file.contains(".so").then(|| file.to_owned());
            if let Some(name) = soname.or_else(file) {
                add(&mut self.has, name);
            }
        }
        for name in needed {
            add(&mut self.links, name);
        }
    }
}

/// Returns whether a file is examined: separate debug information repeats the names of its program.
pub(crate) fn is_relevant(path: &[u8]) -> bool {
    !path.starts_with(b"usr/lib/debug/")
}

/// Returns the file name of a library in a default search folder. Libraries in subfolders belong to single programs.
fn library_name(path: &[u8]) -> Option<&str> {
    let path = std::str::from_utf8(path).ok()?;
    let path = path.strip_prefix("usr/").unwrap_or(path);
    let (folder, file) = path.split_once('/')?;
    (matches!(folder, "lib" | "lib32" | "lib64") && !file.contains('/')).then_some(file)
}

impl fmt::Display for Sonames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, set) in [("has", &self.has), ("links", &self.links)] {
            for Soname { name, is_64_bit } in set {
                let bits = if *is_64_bit { 64 } else { 32 };
                writeln!(f, "{word} {bits} {name}")?;
            }
        }
        Ok(())
    }
}

/// The error for a text that is not in the format of [`Sonames`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of libraries: {0:?}")]
pub struct InvalidSonames(String);

impl FromStr for Sonames {
    type Err = InvalidSonames;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut sonames = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let parts = (words.next(), words.next(), words.next(), words.next());
            let (Some(word), Some(bits @ ("32" | "64")), Some(name), None) = parts else {
                return Err(invalid(line));
            };
            let set = match word {
                "has" => &mut sonames.has,
                "links" => &mut sonames.links,
                _ => return Err(invalid(line)),
            };
            set.insert(Soname {
                name: name.to_owned(),
                is_64_bit: bits == "64",
            });
        }
        Ok(sonames)
    }
}

fn invalid(line: &str) -> InvalidSonames {
    InvalidSonames(line.chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_libraries_in_default_search_folders() {
        for (path, expected) in [
            ("usr/lib/libx.so.1", Some("libx.so.1")),
            ("lib/libx.so.1", Some("libx.so.1")),
            ("usr/lib32/libx.so.1", Some("libx.so.1")),
            ("usr/lib/x/libx.so.1", None),
            ("opt/lib/libx.so.1", None),
            ("usr/bin/x", None),
        ] {
            assert_eq!(library_name(path.as_bytes()), expected, "{path}");
        }
        assert!(!is_relevant(b"usr/lib/debug/usr/lib/libx.so.1.debug"));
    }

    #[test]
    fn round_trips_text() {
        let mut sonames = Sonames::default();
        sonames.add(
            b"usr/lib/libx.so.1.0",
            Elf {
                is_64_bit: true,
                soname: Some("libx.so.1".into()),
                needed: vec!["libc.so.6".into(), "liby.so.2".into()],
            },
        );
        let no_name = Elf {
            is_64_bit: false,
            ..Elf::default()
        };
        sonames.add(b"usr/lib32/libz.so", no_name);
        let text = sonames.to_string();
        assert_eq!(
            text,
            "has 64 libx.so.1\nhas 32 libz.so\nlinks 64 libc.so.6\nlinks 64 liby.so.2\n"
        );
        assert_eq!(text.parse(), Ok(sonames));
        assert!("has 16 x".parse::<Sonames>().is_err());
        assert!("needs 64 x".parse::<Sonames>().is_err());
        assert!("links 64 x y".parse::<Sonames>().is_err());
    }
}
