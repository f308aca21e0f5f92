//! Sources that are named after the release. When it is bumped, they keep their URLs and get the names that
//! the `PKGBUILD` then expects.

use super::entry::{Entry, parse};
use super::srcinfo::Srcinfo;

/// The differences between two lists of sources, before and after a release bump.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// The changed sources, in the order of the lists.
    pub(crate) sources: Vec<RenamedSource>,
    /// Lines to append to the `PKGBUILD`, which set all sources.
    pub(crate) lines: Vec<String>,
}

/// A source with another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenamedSource {
    /// The entry in the `PKGBUILD` before the bump.
    pub(crate) before: String,
    /// The same URL with the name for the new release.
    pub(crate) entry: String,
    /// The old and the new name of a file in the tree.
    pub(crate) in_tree: Option<(String, String)>,
}

impl Renamed {
    /// Compares the output of a `PKGBUILD` before and after the bump. The error is the entry of a source
    /// whose URL cannot be kept, before and after.
    pub(crate) fn find(
        before: &Srcinfo,
        after: &Srcinfo,
        architecture: &str,
    ) -> Result<Self, (String, String)> {
        let mut renamed = Self::default();
        for field in ["source".to_owned(), format!("source_{architecture}")] {
            let (old, new) = (before.listed(&field), after.listed(&field));
            if old == new {
                continue;
            }
            if old.len() != new.len() {
                let removed = old.iter().find(|source| !new.contains(source));
                let added = new.iter().find(|source| !old.contains(source));
                let text = |source: Option<&String>| source.cloned().unwrap_or_default();
                return Err((text(removed), text(added)));
            }
            let mut all = Vec::with_capacity(new.len());
            for (old, new) in old.iter().zip(new) {
                if old == new {
                    all.push(new.clone());
                    continue;
                }
                let source =
                    RenamedSource::new(old, new).ok_or_else(|| (old.clone(), new.clone()))?;
                all.push(source.entry.clone());
                renamed.sources.push(source);
            }
            let quoted: Vec<String> = all.iter().map(|source| quoted(source)).collect();
            renamed
                .lines
                .push(format!("{field}=({})", quoted.join(" ")));
        }
        Ok(renamed)
    }

    /// Returns the current entry of a source.
    pub(crate) fn entry_of<'a>(&'a self, source: &'a str) -> &'a str {
        let mut sources = self.sources.iter();
        sources
            .find(|renamed| renamed.before == source)
            .map_or(source, |renamed| &renamed.entry)
    }
}

impl RenamedSource {
    fn new(old: &str, new: &str) -> Option<Self> {
        let address = old.split_once("::").map_or(old, |(_, address)| address);
        let (entry, in_tree) = match (parse(old).ok()?, parse(new).ok()?) {
            (Entry::Local, Entry::Local) => {
                (new.to_owned(), Some((old.to_owned(), new.to_owned())))
            }
            (Entry::File { .. }, Entry::File { name, .. })
            | (Entry::Git { .. }, Entry::Git { name, .. }) => (format!("{name}::{address}"), None),
            _ => return None,
        };
        let is_plain = |name: &String| !name.contains('/') && !name.starts_with('.');
        if in_tree
            .as_ref()
            .is_some_and(|(old, new)| !is_plain(old) || !is_plain(new))
        {
            return None;
        }
        Some(Self {
            before: old.to_owned(),
            entry,
            in_tree,
        })
    }
}

/// Quotes a word for bash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(before: &str, after: &str) -> Result<Renamed, (String, String)> {
        let info = |sources: &str| {
            let lines: String = sources
                .split(' ')
                .map(|source| format!("\tsource = {source}\n"))
                .collect();
            Srcinfo::parse(&format!("pkgbase = x\n{lines}\npkgname = x\n"))
        };
        Renamed::find(&info(before), &info(after), "x86_64")
    }

    #[test]
    fn renames_source_and_keeps_its_address() {
        for (before, after, line) in [
            (
                "a fix-1-3.patch",
                "a fix-1-9.1.patch",
                "source=('a' 'fix-1-9.1.patch')",
            ),
            (
                "https://h/x_1-3.deb",
                "https://h/x_1-9.1.deb",
                "source=('x_1-9.1.deb::https://h/x_1-3.deb')",
            ),
            (
                "x::https://h/x_1-3.deb",
                "x::https://h/x_1-9.1.deb",
                "source=('x::https://h/x_1-3.deb')",
            ),
            (
                "git+https://h/x.git#tag=v1-3",
                "git+https://h/x.git#tag=v1-9.1",
                "source=('x::git+https://h/x.git#tag=v1-3')",
            ),
            ("it's-3", "it's-9.1", "source=('it'\\''s-9.1')"),
        ] {
            let renamed = find(before, after).unwrap();
            assert_eq!(renamed.lines, [line]);
        }
        let renamed = find("fix-3", "fix-4").unwrap();
        let names = Some(("fix-3".to_owned(), "fix-4".to_owned()));
        assert_eq!(renamed.sources[0].in_tree, names);
        assert_eq!(renamed.entry_of("fix-3"), "fix-4");
        assert_eq!(renamed.entry_of("other"), "other");
        assert_eq!(find("a b", "a b").unwrap(), Renamed::default());
    }

    #[test]
    fn rejects_sources_that_cannot_be_renamed() {
        for (before, after) in [
            ("a b-3", "a"),
            ("svn+https://h/3", "svn+https://h/4"),
            ("d/3", "d/4"),
        ] {
            assert!(find(before, after).is_err(), "{before}");
        }
    }
}
