//! Real git repositories with `.SRCINFO` files, as pushed by packagers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of source repositories.
pub struct Sources {
    folder: PathBuf,
}

/// The content of a package's `.SRCINFO`.
pub struct Package {
    pub pkgbase: &'static str,
    pub pkgver: &'static str,
    /// `key = value` lines of the base.
    pub base: &'static [&'static str],
    /// Packages with lines of their own.
    pub packages: &'static [(&'static str, &'static [&'static str])],
}

impl Package {
    pub fn srcinfo(&self) -> String {
        let mut text = format!("pkgbase = {}\n", self.pkgbase);
        let _ = writeln!(
            text,
            "\tpkgver = {}\n\tpkgrel = 1\n\tarch = x86_64",
            self.pkgver
        );
        for line in self.base {
            let _ = writeln!(text, "\t{line}");
        }
        for (name, lines) in self.packages {
            let _ = writeln!(text, "\npkgname = {name}");
            for line in *lines {
                let _ = writeln!(text, "\t{line}");
            }
        }
        if self.packages.is_empty() {
            let _ = writeln!(text, "\npkgname = {}", self.pkgbase);
        }
        text
    }
}

impl Sources {
    pub fn new(folder: &Path) -> Self {
        let folder = folder.join("sources");
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Commits a package to the branch `main` of its repository; creates the repository if needed.
    pub fn commit(&self, package: &Package) {
        self.commit_text(package.pkgbase, &package.srcinfo());
    }

    /// Commits any text as `.SRCINFO`.
    pub fn commit_text(&self, repository: &str, srcinfo: &str) {
        self.commit_with(repository, srcinfo, "# simulated\n");
    }

    /// Commits any `.SRCINFO` and `PKGBUILD`.
    pub fn commit_with(&self, repository: &str, srcinfo: &str, pkgbuild: &str) {
        let path = self.folder.join(repository);
        if !path.exists() {
            git(
                &self.folder,
                &["init", "--quiet", "--initial-branch", "main", repository],
            );
        }
        std::fs::write(path.join(".SRCINFO"), srcinfo).unwrap();
        std::fs::write(path.join("PKGBUILD"), pkgbuild).unwrap();
        git(&path, &["add", "--all"]);
        git(&path, &["commit", "--quiet", "--message", "Update"]);
    }

    /// Commits the files of a folder, those below it included.
    pub fn commit_folder(&self, repository: &str, folder: &Path) {
        let path = self.folder.join(repository);
        if !path.exists() {
            git(
                &self.folder,
                &["init", "--quiet", "--initial-branch", "main", repository],
            );
        }
        copy(folder, &path);
        git(&path, &["add", "--all"]);
        git(&path, &["commit", "--quiet", "--message", "Update"]);
    }

    /// Commits another file, or changes it, and leaves the rest unchanged.
    pub fn commit_file(&self, repository: &str, name: &str, content: &str) {
        let path = self.folder.join(repository);
        std::fs::write(path.join(name), content).unwrap();
        git(&path, &["add", "--all"]);
        git(&path, &["commit", "--quiet", "--message", "Fix"]);
    }

    /// Creates a repository whose objects are named by SHA-256.
    pub fn make_sha256(&self, repository: &str) {
        let init = [
            "init",
            "--quiet",
            "--initial-branch=main",
            "--object-format=sha256",
        ];
        git(&self.folder, &[&init[..], &[repository]].concat());
    }

    /// Creates a library, two programs linked to it, one that needs both of them, and one that needs none.
    pub fn with_a_library(folder: &Path) -> Self {
        let sources = Self::new(folder);
        for package in [
            Package {
                pkgbase: "libfoo",
                pkgver: "1",
                base: &["provides = libfoo.so=1-64"],
                packages: &[],
            },
            Package {
                pkgbase: "left",
                pkgver: "1",
                base: &["depends = libfoo"],
                packages: &[],
            },
            Package {
                pkgbase: "right",
                pkgver: "1",
                base: &["depends = libfoo"],
                packages: &[],
            },
            Package {
                pkgbase: "top",
                pkgver: "1",
                base: &["depends = left", "depends = right"],
                packages: &[],
            },
            Package {
                pkgbase: "other",
                pkgver: "1",
                base: &[],
                packages: &[],
            },
        ] {
            sources.commit(&package);
        }
        sources
    }

    /// Writes packages `p0`, `p1` …, each with the numbers it depends on. It does so without git, so that many thousand
    /// take only seconds.
    pub fn write_graph(&self, graph: impl Iterator<Item = Vec<usize>>) {
        for (number, needs) in graph.enumerate() {
            let name = format!("p{number}");
            let mut text =
                format!("pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n");
            for need in needs {
                let _ = writeln!(text, "\tdepends = p{need}");
            }
            let _ = write!(text, "\npkgname = {name}\n");
            self.write_repository(&name, &text);
        }
    }

    /// Writes a bare repository with one commit of an `.SRCINFO`.
    fn write_repository(&self, name: &str, srcinfo: &str) {
        use gix::objs::tree::{Entry, EntryKind};
        let path = self.folder.join(format!("{name}.git"));
        // The other files of git init, hooks and descriptions, take longer than all the rest.
        for folder in ["objects", "refs/heads"] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        let config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
        std::fs::write(path.join("config"), config).unwrap();
        let repository = gix::open_opts(&path, gix::open::Options::isolated()).unwrap();
        let tree = gix::objs::Tree {
            entries: vec![Entry {
                mode: EntryKind::Blob.into(),
                filename: ".SRCINFO".into(),
                oid: repository.write_blob(srcinfo).unwrap().detach(),
            }],
        };
        let author = gix::actor::Signature {
            name: "Test".into(),
            email: "test@example.invalid".into(),
            time: gix::date::Time::new(1_700_000_000, 0),
        };
        let commit = gix::objs::Commit {
            tree: repository.write_object(&tree).unwrap().detach(),
            parents: Default::default(),
            author: author.clone(),
            committer: author,
            encoding: None,
            message: "Update\n".into(),
            extra_headers: Vec::new(),
        };
        let commit = repository.write_object(&commit).unwrap();
        std::fs::write(path.join("refs/heads/main"), format!("{commit}\n")).unwrap();
    }

    /// Creates a chain of `length` packages `p0` …, each of which depends on the one before.
    pub fn with_a_chain(folder: &Path, length: usize) -> Self {
        let sources = Self::new(folder);
        for number in 0..length {
            let mut text =
                format!("pkgbase = p{number}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n");
            if number > 0 {
                let _ = writeln!(text, "\tdepends = p{}", number - 1);
            }
            let _ = write!(text, "\npkgname = p{number}\n");
            sources.commit_text(&format!("p{number}"), &text);
        }
        sources
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.invalid",
        ])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
