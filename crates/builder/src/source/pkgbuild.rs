//! The `PKGBUILD` of a tree: what its text says without being run, and how it is rewritten.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::failure::{Context as _, Failure};

/// Much larger than any real PKGBUILD.
pub(crate) const MAX_PKGBUILD_BYTES: u64 = 4 << 20;

/// The `PKGBUILD` of a tree, opened as a file of the tree itself.
pub(crate) struct Pkgbuild {
    file: File,
    text: Vec<u8>,
}

impl Pkgbuild {
    /// Opens the file. Rejects a symlink, which may lead to any file of the host.
    pub(crate) fn open(tree: &Path) -> Result<Self, Failure> {
        let no_follow = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        // The standard library's error keeps the number, which tells what was found instead.
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(no_follow);
        let opened = options.open(tree.join("PKGBUILD"));
        let file = opened.map_err(|error| not_opened(&error))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_PKGBUILD_BYTES {
            return Err(unreadable());
        }
        let mut text = Vec::new();
        (&file)
            .take(MAX_PKGBUILD_BYTES)
            .read_to_end(&mut text)
            .context("reading the PKGBUILD")?;
        Ok(Self { file, text })
    }

    /// Returns whether the text defines `pkgver()`, for when bash cannot be asked. Sourced files are not
    /// read.
    pub(crate) fn has_pkgver_function(&self) -> bool {
        let text = String::from_utf8_lossy(&self.text);
        text.lines().map(str::trim).any(|line| {
            let keyword = line.strip_prefix("function ").map(str::trim_start);
            let rest = keyword.unwrap_or(line).strip_prefix("pkgver");
            rest.is_some_and(|rest| {
                let ends_here = rest.is_empty() || rest.starts_with([' ', '\t', '{']);
                rest.trim_start().starts_with('(') || (keyword.is_some() && ends_here)
            })
        })
    }

    /// Returns the absolute paths of system files that the top level may access: those outside of comments
    /// and of the functions that makepkg runs.
    pub(crate) fn system_paths(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.text);
        let mut paths = Vec::new();
        let mut in_function = false;
        for line in text.lines() {
            let starts_function = is_start_of_function(line);
            if !in_function && !starts_function && !line.trim_start().starts_with('#') {
                paths.extend(system_paths_of(line));
            }
            // A function in several lines ends with a brace at the start of a line.
            if starts_function {
                in_function = !line.trim_end().ends_with('}');
            } else if line.starts_with('}') {
                in_function = false;
            }
        }
        paths
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Replaces the text.
    pub(crate) fn write(&mut self, text: Vec<u8>) -> Result<(), Failure> {
        self.text = text;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file
            .write_all(&self.text)
            .context("writing the PKGBUILD")
    }
}

/// Returns the failure for a PKGBUILD that cannot be opened.
fn not_opened(error: &io::Error) -> Failure {
    match error.raw_os_error().map(nix::Error::from_raw) {
        Some(nix::Error::ENOENT) => {
            Failure::package("the tree has no PKGBUILD").hint("add one to the source repository")
        }
        Some(nix::Error::ELOOP) => {
            Failure::package("the PKGBUILD is a symlink").hint("replace it with a regular file")
        }
        Some(nix::Error::EISDIR) => {
            Failure::package("the PKGBUILD is a folder").hint("replace it with a regular file")
        }
        _ => Failure::infrastructure(format!("opening the PKGBUILD: {error}")),
    }
}

/// Returns the failure for a PKGBUILD of another kind, or one that is too large.
fn unreadable() -> Failure {
    Failure::package(format!(
        "the PKGBUILD is not a regular file of at most {MAX_PKGBUILD_BYTES} bytes"
    ))
}

/// Returns whether a line starts a function that makepkg runs.
fn is_start_of_function(line: &str) -> bool {
    let line = line.trim_start();
    let keyword = line.strip_prefix("function ").map(str::trim_start);
    let text = keyword.unwrap_or(line);
    let end = text.find(|c: char| c.is_whitespace() || c == '(' || c == '{');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let is_run = ["prepare", "build", "check", "package", "pkgver", "verify"].contains(&name)
        || name.starts_with("package_");
    is_run && (keyword.is_some() || rest.trim_start().starts_with('('))
}

fn system_paths_of(line: &str) -> impl Iterator<Item = String> + '_ {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_./+-".contains(c);
    // `$pkgdir/usr`, `"$pkgdir"/usr` and `${pkgdir}/usr` are not system paths.
    let follows_text = move |before: &str| {
        let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
        before.ends_with(|c: char| is_part(c) || c == '}' || c == '"' || c == '\'')
    };
    ["/usr/", "/opt/", "/etc/"]
        .into_iter()
        .flat_map(move |start| {
            line.match_indices(start).filter_map(move |(at, _)| {
                let (before, path) = line.split_at(at);
                let end = path.find(|c| !is_part(c)).unwrap_or(path.len());
                (!follows_text(before)).then(|| path[..end].to_owned())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn failures_match_snapshot() {
        let opening = |error: nix::Error| not_opened(&error.into());
        let text = crate::failure::recorded([
            ("no PKGBUILD", opening(nix::Error::ENOENT)),
            ("symlink", opening(nix::Error::ELOOP)),
            ("folder", opening(nix::Error::EISDIR)),
            ("damaged disk", opening(nix::Error::EIO)),
            ("pipe or large file", unreadable()),
        ]);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn rejects_symlink_and_leaves_target_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("secret");
        fs_err::write(&target, "pkgrel=1\n").unwrap();
        let tree = folder.path().join("tree");
        fs_err::create_dir(&tree).unwrap();
        symlink(&target, tree.join("PKGBUILD")).unwrap();
        let failure = Pkgbuild::open(&tree).err().unwrap();
        assert_eq!(failure.message, "the PKGBUILD is a symlink");
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "pkgrel=1\n");
    }

    #[test]
    fn recognizes_computed_versions() {
        for (text, expected) in [
            ("pkgver() {\n", true),
            ("  pkgver ()\n", true),
            ("function pkgver() {\n", true),
            ("function pkgver {\n", true),
            ("function pkgver\n{\n", true),
            ("function pkgver_of {\n", false),
            ("pkgver=1\n", false),
            ("# pkgver() {\n", false),
        ] {
            let tree = tempfile::tempdir().unwrap();
            fs_err::write(tree.path().join("PKGBUILD"), text).unwrap();
            let pkgbuild = Pkgbuild::open(tree.path()).unwrap();
            assert_eq!(pkgbuild.has_pkgver_function(), expected, "{text:?}");
        }
    }

    #[test]
    fn counts_only_paths_read_by_the_top_level() {
        let tree = tempfile::tempdir().unwrap();
        let text = "# /usr/bin/comment\n_v=$(/usr/bin/a --version | cut -c1)\n\
                    [[ -x \"/opt/b/c\" ]] && x=1\n. '/etc/d.conf'\n\
                    _x=\"$pkgdir\"/usr/no _y=${pkgdir}/usr/no _z=$pkgdir/usr/no\n\
                    build() {\n  /usr/bin/no\n}\npackage_x() { ln -s /usr/no x; }\n\
                    _helper() { /usr/bin/e; }\n";
        fs_err::write(tree.path().join("PKGBUILD"), text).unwrap();
        let paths = Pkgbuild::open(tree.path()).unwrap().system_paths();
        assert_eq!(
            paths,
            ["/usr/bin/a", "/opt/b/c", "/etc/d.conf", "/usr/bin/e"]
        );
    }
}
