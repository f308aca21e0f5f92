//! Real source repositories, with pushes by git.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use buildbtw_model::CommitHash;

use super::parse;

/// The text of an `.SRCINFO`, written line by line.
#[derive(Clone, Debug)]
pub(crate) struct Srcinfo {
    pub(crate) pkgbase: String,
    base: String,
    packages: Vec<String>,
}

impl Srcinfo {
    /// Returns a package for x86_64 with one pkgname like its pkgbase. `version` is `pkgver-pkgrel`.
    pub(crate) fn new(pkgbase: &str, version: &str) -> Self {
        let (pkgver, pkgrel) = version.split_once('-').expect("pkgver-pkgrel");
        Self {
            pkgbase: pkgbase.to_owned(),
            base: format!("\tpkgver = {pkgver}\n\tpkgrel = {pkgrel}\n"),
            packages: Vec::new(),
        }
    }

    /// Adds a field of the base, for example `depends`.
    pub(crate) fn with(mut self, field: &str, value: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.base, "\t{field} = {value}");
        self
    }

    pub(crate) fn depends(self, on: &[&str]) -> Self {
        on.iter()
            .fold(self, |this, name| this.with("depends", name))
    }

    pub(crate) fn arch(self, architectures: &[&str]) -> Self {
        let add = |this: Self, name: &&str| this.with("arch", name);
        architectures.iter().fold(self, add)
    }

    /// Adds a pkgname; the first call replaces the default one, which equals the pkgbase.
    pub(crate) fn pkgname(mut self, name: &str) -> Self {
        self.packages.push(name.to_owned());
        self
    }

    pub(crate) fn text(&self) -> String {
        let Self {
            pkgbase,
            base,
            packages,
        } = self;
        let mut text = format!("pkgbase = {pkgbase}\n{base}");
        if !base.contains("\tarch = ") {
            text.push_str("\tarch = x86_64\n");
        }
        for name in packages {
            let _ = write!(text, "\npkgname = {name}\n");
        }
        if packages.is_empty() {
            let _ = write!(text, "\npkgname = {pkgbase}\n");
        }
        text
    }
}

/// A folder of source repositories, as the server watches it.
#[derive(Clone, Debug)]
pub(crate) struct SourceTree {
    folder: PathBuf,
}

impl SourceTree {
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs_err::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of the repository of this name.
    pub(crate) fn path(&self, repository: &str) -> PathBuf {
        self.folder.join(repository)
    }

    /// Commits an `.SRCINFO` to the default branch of its pkgbase's repository; creates the
    /// repository if necessary.
    pub(crate) fn push(&self, srcinfo: &Srcinfo) -> CommitHash {
        self.push_to(&srcinfo.pkgbase, "main", Some(&srcinfo.text()))
    }

    /// Commits to another branch, which starts as a copy of the default one.
    pub(crate) fn push_branch(&self, branch: &str, srcinfo: &Srcinfo) -> CommitHash {
        self.push_to(&srcinfo.pkgbase, branch, Some(&srcinfo.text()))
    }

    /// Commits any text as `.SRCINFO`, or a tree without one, to a branch of a repository.
    pub(crate) fn push_to(
        &self,
        repository: &str,
        branch: &str,
        srcinfo: Option<&str>,
    ) -> CommitHash {
        let path = self.path(repository);
        if !path.join("HEAD").is_file() {
            self.make_empty(repository);
        }
        let known = path.join("refs/heads").join(branch).is_file();
        let mut commands = format!(
            "commit refs/heads/{branch}\ncommitter Packager <packager@example.org> 1700000000 \
             +0000\ndata 6\nchange\n"
        );
        if known {
            let _ = writeln!(commands, "from refs/heads/{branch}^0");
        }
        commands.push_str("deleteall\nM 100644 inline PKGBUILD\ndata 1\n#\n");
        if let Some(text) = srcinfo {
            let _ = write!(
                commands,
                "M 100644 inline .SRCINFO\ndata {}\n{text}\n",
                text.len()
            );
        }
        self.import(repository, &commands);
        self.commit_of(repository, branch)
    }

    /// Commits another file to a branch, which leaves its `.SRCINFO` unchanged.
    pub(crate) fn push_file(&self, repository: &str, name: &str, content: &str) -> CommitHash {
        let file = format!(
            "M 100644 inline {name}\ndata {}\n{content}\n",
            content.len()
        );
        self.push_on(repository, "main", &file)
    }

    /// Commits the same tree again, under another hash.
    pub(crate) fn push_nothing(&self, repository: &str) -> CommitHash {
        self.push_on(repository, "main", "")
    }

    fn push_on(&self, repository: &str, branch: &str, change: &str) -> CommitHash {
        let commands = format!(
            "commit refs/heads/{branch}\ncommitter Packager <packager@example.org> 1700000001 \
             +0000\ndata 6\nchange\nfrom refs/heads/{branch}^0\n{change}"
        );
        self.import(repository, &commands);
        self.commit_of(repository, branch)
    }

    fn import(&self, repository: &str, commands: &str) {
        // One process writes blob, tree, commit and ref, because starting processes is expensive on
        // slow cores.
        let mut git = git(&self.path(repository))
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        git.stdin
            .take()
            .unwrap()
            .write_all(commands.as_bytes())
            .unwrap();
        assert!(git.wait().unwrap().success(), "git fast-import");
    }

    /// Creates a bare repository without commits.
    pub(crate) fn make_empty(&self, repository: &str) {
        let args = [
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            repository,
        ];
        run(git(&self.folder).args(args));
    }

    /// Sets a tag at the head of the default branch.
    pub(crate) fn tag(&self, repository: &str, tag: &str) {
        run(git(&self.path(repository)).args(["tag", tag, "main"]));
    }

    /// Removes a repository.
    pub(crate) fn remove(&self, repository: &str) {
        fs_err::remove_dir_all(self.path(repository)).unwrap();
    }

    pub(crate) fn commit_of(&self, repository: &str, branch: &str) -> CommitHash {
        let head = self.path(repository).join("refs/heads").join(branch);
        parse(fs_err::read_to_string(head).unwrap().trim())
    }
}

/// Returns a git command in a folder, without the configuration of the current user.
pub(crate) fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args([
            "-c",
            "user.name=Packager",
            "-c",
            "user.email=packager@example.org",
        ]);
    command
}

/// Runs a command until it exits.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
