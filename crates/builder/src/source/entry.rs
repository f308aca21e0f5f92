//! Parses a source entry of a `.SRCINFO` as makepkg does.

use std::path::Path;

use buildbtw_model::{SourceKind, source_file_name, source_kind};

use super::open_in_tree;
use crate::failure::Failure;
use crate::fetchers::VcsTool;

/// The origin of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// In the tree.
    Local,
    /// A file of the host, which is refused unless the tree has a file of the same name.
    OnMachine {
        /// The whole entry.
        entry: String,
        name: String,
    },
    /// A file to download.
    File {
        url: String,
        name: String,
        protocol: String,
    },
    /// A git repository to mirror.
    Git {
        url: String,
        name: String,
        revision: Option<Revision>,
    },
    /// A repository of another version control system.
    Vcs {
        url: String,
        tool: VcsTool,
        /// The whole entry, for makepkg.
        entry: String,
        name: String,
    },
}

/// The revision of a git repository that a source requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    Branch(String),
    Tag(String),
    Commit(String),
}

impl Entry {
    /// Returns the URL to fetch; `None` for a file of the tree.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Local | Self::OnMachine { .. } => None,
            Self::File { url, .. } | Self::Git { url, .. } | Self::Vcs { url, .. } => Some(url),
        }
    }

    /// Resolves the entry against a tree, in which makepkg looks for files before it fetches them.
    pub(crate) fn in_tree(self, tree: &Path) -> Result<Self, Failure> {
        match &self {
            Self::File { name, .. } | Self::OnMachine { name, .. }
                if open_in_tree(tree, name).is_ok() =>
            {
                Ok(Self::Local)
            }
            Self::OnMachine { entry, name } => Err(Failure::package(format!(
                "source {entry:?} is a file of the build machine, and the source repository has no \
                 `{name}`"
            ))
            .hint(format!("add `{name}` to the source repository"))),
            _ => Ok(self),
        }
    }

    /// Returns the name in the folder for sources.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::OnMachine { name, .. }
            | Self::File { name, .. }
            | Self::Git { name, .. }
            | Self::Vcs { name, .. } => Some(name),
        }
    }
}

impl Revision {
    fn parse(fragment: &str) -> Option<Self> {
        let (kind, value) = fragment.split_once('=')?;
        let value = value.to_owned();
        match kind {
            "branch" => Some(Self::Branch(value)),
            "tag" => Some(Self::Tag(value)),
            "commit" => Some(Self::Commit(value)),
            // makepkg rejects it with a message.
            _ => None,
        }
    }

    /// Returns its name in a mirror.
    pub(crate) fn reference(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            // makepkg checks out any object of this name.
            Self::Tag(name) | Self::Commit(name) => name.clone(),
        }
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch `{name}`"),
            Self::Tag(name) => write!(f, "tag `{name}`"),
            Self::Commit(name) => write!(f, "commit `{name}`"),
        }
    }
}

/// Parses an entry: `[name::]url` or a path in the tree.
pub(crate) fn parse(entry: &str) -> Result<Entry, Failure> {
    let refuse = |why: &str| Failure::package(format!("source {entry:?} {why}"));
    if entry.chars().any(|c| c.is_control()) {
        return Err(refuse("contains control characters"));
    }
    let (given_name, address) = match entry.split_once("::") {
        Some((name, address)) => (Some(name), address),
        None => (None, entry),
    };
    let result = match source_kind(entry) {
        SourceKind::InRepository => return Ok(Entry::Local),
        SourceKind::OnMachine => Entry::OnMachine {
            entry: entry.to_owned(),
            name: source_file_name(entry).to_owned(),
        },
        SourceKind::File(protocol) => Entry::File {
            url: address.to_owned(),
            name: source_file_name(entry).to_owned(),
            protocol: protocol.to_owned(),
        },
        SourceKind::Repository(protocol) => match VcsTool::of(protocol) {
            None => git(address, given_name),
            Some(tool) => Entry::Vcs {
                url: {
                    let url = before(before(address, '#'), '?');
                    url.strip_prefix(&format!("{protocol}+"))
                        .unwrap_or(url)
                        .to_owned()
                },
                tool,
                entry: entry.to_owned(),
                name: given_name.map_or_else(
                    || match tool {
                        // Like makepkg's get_filename.
                        VcsTool::Fossil => format!("{}.fossil", repository_name(address)),
                        VcsTool::Bzr | VcsTool::Hg | VcsTool::Svn => repository_name(address),
                    },
                    str::to_owned,
                ),
            },
        },
        SourceKind::NotFetched(_) => {
            return Err(refuse("uses an unsupported protocol"));
        }
    };
    if let Some(name) = result.name() {
        let bad = name.is_empty() || name.contains('/') || name.starts_with(['.', '-']);
        if bad || name.len() > 250 {
            return Err(refuse("has no usable file name"));
        }
    }
    Ok(result)
}

fn git(address: &str, given_name: Option<&str>) -> Entry {
    let url = before(before(address, '#'), '?');
    let url = url.strip_prefix("git+").unwrap_or(url);
    let name = repository_name(address);
    let bare = name.split_once(".git").map_or(&*name, |(name, _)| name);
    // `#tag=v1?signed` and `?signed#tag=v1` both occur.
    let fragment = address.split_once('#').map(|(_, rest)| before(rest, '?'));
    Entry::Git {
        url: url.to_owned(),
        name: given_name.unwrap_or(bare).to_owned(),
        revision: fragment.and_then(Revision::parse),
    }
}

/// Returns the last component of a repository's URL.
fn repository_name(address: &str) -> String {
    let url = before(before(address, '#'), '?');
    let name = last_part(url.strip_suffix('/').unwrap_or(url));
    name.split_once("lp:")
        .map_or(name, |(_, name)| name)
        .to_owned()
}

fn last_part(address: &str) -> &str {
    address.rsplit_once('/').map_or(address, |(_, last)| last)
}

fn before(text: &str, end: char) -> &str {
    text.split_once(end).map_or(text, |(start, _)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str, name: &str) -> Entry {
        Entry::File {
            url: url.into(),
            name: name.into(),
            protocol: url.split_once("://").unwrap().0.into(),
        }
    }

    fn git_entry(url: &str, name: &str, fragment: &str) -> Entry {
        Entry::Git {
            url: url.into(),
            name: name.into(),
            revision: Revision::parse(fragment),
        }
    }

    #[test]
    fn parses_source_entries_like_makepkg() {
        for (entry, expected) in [
            ("fix.patch", Entry::Local),
            (
                "https://h/x-1.tar.gz",
                file("https://h/x-1.tar.gz", "x-1.tar.gz"),
            ),
            ("x.tgz::http://h/v1", file("http://h/v1", "x.tgz")),
            (
                "git+https://h/a/x.git#tag=v1?signed",
                git_entry("https://h/a/x.git", "x", "tag=v1"),
            ),
            (
                "git+https://h/x?signed#branch=next",
                git_entry("https://h/x", "x", "branch=next"),
            ),
            ("git://h/x/", git_entry("git://h/x/", "x", "")),
            ("y::git+https://h/x", git_entry("https://h/x", "y", "")),
        ] {
            assert_eq!(parse(entry).unwrap(), expected, "{entry}");
        }
    }

    #[test]
    fn classifies_other_version_control_and_protocols() {
        let entry = "x::hg+https://h/a/y#tag=1";
        let expected = Entry::Vcs {
            url: "https://h/a/y".into(),
            tool: VcsTool::Hg,
            entry: entry.into(),
            name: "x".into(),
        };
        assert_eq!(parse(entry).unwrap(), expected);
        let Entry::Vcs {
            url, name, tool, ..
        } = parse("svn://h/repo/trunk/").unwrap()
        else {
            panic!("not a repository");
        };
        assert_eq!(
            (&*url, &*name, tool),
            ("svn://h/repo/trunk/", "trunk", VcsTool::Svn)
        );
        assert_eq!(
            parse("fossil+https://h/a?x=1#tag=1").unwrap().name(),
            Some("a.fossil")
        );
        let own = file("own://h/x", "x");
        assert_eq!(parse("own://h/x").unwrap(), own);
    }

    #[test]
    fn treats_launchpad_branches_as_repositories() {
        let Entry::Vcs {
            url, name, tool, ..
        } = parse("bzr+lp:x#revision=3").unwrap()
        else {
            panic!("not a repository");
        };
        assert_eq!((&*url, &*name, tool), ("lp:x", "x", VcsTool::Bzr));
    }

    #[test]
    fn prefers_files_of_the_tree_over_download() {
        let tree = tempfile::tempdir().unwrap();
        fs_err::write(tree.path().join("x.bin"), "").unwrap();
        std::os::unix::fs::symlink("x.bin", tree.path().join("link.bin")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", tree.path().join("passwd")).unwrap();
        fs_err::create_dir(tree.path().join("folder")).unwrap();
        let found = |entry: &str| parse(entry).unwrap().in_tree(tree.path());
        for entry in [
            "file://x.bin",
            "file:///opt/x.bin",
            "x.bin::file://other.bin",
            "https://192.0.2.1/x.bin",
            "https://192.0.2.1/link.bin",
            "own://x.bin",
        ] {
            assert_eq!(found(entry).unwrap(), Entry::Local, "{entry}");
        }
        for entry in ["file:///etc/passwd", "file:///etc/shadow", "file://folder"] {
            let message = found(entry).unwrap_err().message;
            assert!(
                message.contains("is a file of the build machine"),
                "{message}"
            );
        }
        let address = "https://h/y.bin";
        assert_eq!(found(address).unwrap(), file(address, "y.bin"));
    }

    #[test]
    fn failures_match_snapshot() {
        let tree = tempfile::tempdir().unwrap();
        let cases = [
            ("file of the machine", "file:///etc/shadow"),
            ("control character", "x\n::https://h/x"),
            ("unsupported protocol", "git+ssh://h/x"),
            ("name of a folder", "../x::https://h/x"),
            ("no name", "https://h/"),
        ];
        let text = crate::failure::recorded(cases.map(|(name, entry)| {
            let parsed = parse(entry).and_then(|entry| entry.in_tree(tree.path()));
            (name, parsed.unwrap_err())
        }));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn rejects_sources_that_escape_the_folder_or_read_host_files() {
        for entry in [
            "../x::https://h/x",
            "-o::https://h/x",
            ".::https://h/x",
            "https://h/",
            "git+file:///root",
            "git+ssh://h/x",
            "git+ext://sh",
            "svn+file:///srv/x",
            "hg+ssh://h/x",
            "https+file:///etc/shadow",
            "x\n::https://h/x",
        ] {
            assert!(parse(entry).is_err(), "{entry}");
        }
    }
}
