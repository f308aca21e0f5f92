//! A real cycle, built with makepkg in the sandbox: two packages that need each other to be built.

use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_tests::{
    PreviousDistribution, Server, Sources, Worker, cli, file_in, git, has_tool, printed, program,
};

/// Writes a package whose build runs the program of another one and keeps its output.
fn write_package(folder: &Path, name: &str, version: u32, needs: Option<&str>) {
    let makedepends = needs.map(|other| format!("makedepends=('{other}>={}')\n", version - 1));
    let record = needs.map_or_else(|| "echo nothing".to_owned(), str::to_owned);
    let pkgbuild = format!(
        "pkgname={name}\npkgver={version}\npkgrel=1\narch=('x86_64')\n{}\
         package() {{\n  install -d \"$pkgdir/usr/bin\" \"$pkgdir/usr/share/{name}\"\n  \
         printf '#!/bin/sh\\necho {name} {version}\\n' > \"$pkgdir/usr/bin/{name}\"\n  \
         chmod 755 \"$pkgdir/usr/bin/{name}\"\n  \
         {record} > \"$pkgdir/usr/share/{name}/built-with\"\n}}\n",
        makedepends.as_deref().unwrap_or_default()
    );
    let needs = needs.map(|other| format!("\tmakedepends = {other}>={}\n", version - 1));
    let srcinfo = format!(
        "pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n{}\npkgname = {name}\n",
        needs.as_deref().unwrap_or_default()
    );
    std::fs::write(folder.join("PKGBUILD"), pkgbuild).unwrap();
    std::fs::write(folder.join(".SRCINFO"), srcinfo).unwrap();
}

/// Builds both packages in their old version, which need nothing, and adds them to a repository.
fn old_versions(folder: &Path, sources: &Sources) -> PathBuf {
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    for name in ["chicken", "egg"] {
        git(
            sources.folder(),
            &["init", "--quiet", "--initial-branch", "main", name],
        );
        let source = sources.folder().join(name);
        write_package(&source, name, 1, None);
        let output = Command::new(program("buildbtw"))
            .args(["build", "--output"])
            .arg(&base)
            .arg(&source)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    }
    let packages = std::fs::read_dir(&base)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let output = Command::new("repo-add")
        .arg("--quiet")
        .arg(base.join("base.db.tar.gz"))
        .args(packages)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    base
}

#[test]
fn builds_cycle_of_two_packages_with_new_versions() {
    let tools = ["pacman", "makepkg", "repo-add", "bwrap", "bsdtar"];
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: the sandbox needs root");
        return;
    }
    if !tools.iter().all(|tool| has_tool(tool)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    let base = old_versions(folder.path(), &sources);
    for (name, other) in [("chicken", "egg"), ("egg", "chicken")] {
        let source = sources.folder().join(name);
        write_package(&source, name, 2, Some(other));
        git(&source, &["add", "--all"]);
        git(
            &source,
            &["commit", "--quiet", "--message", "Need each other"],
        );
    }
    let bases = folder.path().join("base.toml");
    let text = format!(
        "[[repository]]\nname = 'base'\narchitectures = ['x86_64']\n\
         servers = ['file://{}']\nsig_level = 'Never'\n",
        base.display()
    );
    std::fs::write(&bases, text).unwrap();
    let server = Server::start_with_base(folder.path(), &sources, &bases);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));

    let output = cli(
        &server,
        &[
            "new",
            "chicken/main",
            "egg/main",
            "--name",
            "cycle",
            "--follow",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let shown = cli(&server, &["show", "cycle"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        text.contains("dependency cycle of 2 packages: chicken, egg"),
        "{text}"
    );

    let repository = server.data().join("repos/cycle/1/x86_64");
    let mut final_builds = Vec::new();
    for name in ["chicken", "egg"] {
        // The newest release is what the repository lists.
        let mut files: Vec<_> = std::fs::read_dir(&repository)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|file| file.starts_with(&format!("{name}-2-")))
            .collect();
        files.sort_by_key(String::len);
        final_builds.push(files.len());
        let newest = repository.join(files.last().unwrap());
        let other = if name == "chicken" { "egg" } else { "chicken" };
        let built_with = file_in(&newest, &format!("usr/share/{name}/built-with"));
        assert_eq!(built_with.trim(), format!("{other} 2"), "{name}: {files:?}");
    }
    let old = PreviousDistribution::in_folder(folder.path(), &base);
    old.upgrades(&server, "cycle", &["chicken", "egg"]);
    // One of them was built first with the old version of the other, and was built again.
    final_builds.sort_unstable();
    assert_eq!(final_builds, [1, 2], "{text}");
}
