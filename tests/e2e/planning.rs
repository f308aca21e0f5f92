//! Plans from more than `.SRCINFO` files, with real libraries: a new soname below a cycle, and a
//! program that links a library without declaring it.

use std::path::{Path, PathBuf};
use std::process::Command;

use buildbtw_tests::{
    PreviousDistribution, Server, Sources, Worker, cli, file_in, has_tool, is_root,
    pacman_upgrades, printed, program,
};

/// Returns whether everything that builds of libraries need is installed.
fn can_build() -> bool {
    let tools = [
        "pacman", "makepkg", "repo-add", "bwrap", "bsdtar", "gcc", "readelf",
    ];
    is_root() && tools.iter().all(|tool| has_tool(tool))
}

/// Returns a library with the soname `NAME.so.VERSION`.
fn library(name: &str, version: u32) -> (String, String) {
    let file = format!("{name}.so.{version}");
    let pkgbuild = format!(
        "pkgname={name}\npkgver={version}\npkgrel=1\narch=(x86_64)\nprovides=({name}.so)\noptions=(!debug)\n\
         build() {{\n  echo 'int version(void) {{ return {version}; }}' > library.c\n  \
         gcc -shared -fPIC -Wl,-soname,{file} -o {file}.0 library.c\n}}\n\
         package() {{\n  install -Dm755 {file}.0 \"$pkgdir/usr/lib/{file}.0\"\n  \
         ln -s {file}.0 \"$pkgdir/usr/lib/{file}\"\n  ln -s {file} \"$pkgdir/usr/lib/{name}.so\"\n}}\n"
    );
    let srcinfo = format!(
        "pkgbase = {name}\n\tpkgver = {version}\n\tpkgrel = 1\n\tarch = x86_64\n\tprovides = {name}.so\n\
         \toptions = !debug\n\npkgname = {name}\n"
    );
    (pkgbuild, srcinfo)
}

/// Returns a program that prints its name and the version of the library, and keeps the output of the `other` program
/// from its build. With `BUILDBTW_BOOTSTRAP` it omits that one.
fn user(name: &str, library: &str, depends: &[&str], other: Option<&str>) -> (String, String) {
    let (needs, record) = match other {
        Some(other) => (
            format!(
                "makedepends=({other})\n[[ ${{BUILDBTW_BOOTSTRAP:-}} == 1 ]] && makedepends=()\n"
            ),
            format!("if [[ ${{BUILDBTW_BOOTSTRAP:-}} != 1 ]]; then {other}; else echo none; fi"),
        ),
        None => (String::new(), "echo none".to_owned()),
    };
    let link = library.trim_start_matches("lib");
    let pkgbuild = format!(
        "pkgname={name}\npkgver=1\npkgrel=1\narch=(x86_64)\ndepends=({})\noptions=(!debug)\n{needs}\
         build() {{\n  printf '#include <stdio.h>\\nint version(void);\\nint main(void) {{ printf(\"{name} %%d\\\\n\", version()); }}\\n' > main.c\n  \
         gcc -o {name} main.c -l{link}\n  {{ {record}; }} > built-with\n}}\n\
         package() {{\n  install -Dm755 {name} \"$pkgdir/usr/bin/{name}\"\n  \
         install -Dm644 built-with \"$pkgdir/usr/share/{name}/built-with\"\n}}\n",
        depends.join(" ")
    );
    let mut srcinfo = format!("pkgbase = {name}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n");
    if let Some(other) = other {
        srcinfo.push_str(&format!("\tmakedepends = {other}\n"));
    }
    for dependency in depends {
        srcinfo.push_str(&format!("\tdepends = {dependency}\n"));
    }
    srcinfo.push_str(&format!("\toptions = !debug\n\npkgname = {name}\n"));
    (pkgbuild, srcinfo)
}

/// Builds packages one after the other into a repository `base`; returns its folder.
fn base(folder: &Path, packages: &[(&str, (String, String))]) -> PathBuf {
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    let database = base.join("base.db.tar.gz");
    for (name, (pkgbuild, srcinfo)) in packages {
        let source = folder.join("old").join(name);
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("PKGBUILD"), pkgbuild).unwrap();
        std::fs::write(source.join(".SRCINFO"), srcinfo).unwrap();
        let mut build = Command::new(program("buildbtw"));
        build.args(["build", "--output"]).arg(&base);
        if database.exists() {
            build.arg("--repository");
            build.arg(format!("base=file://{}", base.display()));
        }
        let output = build.arg(&source).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        let new = std::fs::read_dir(&base)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                let file = path.file_name().unwrap().to_string_lossy();
                file.starts_with(&format!("{name}-1-1-"))
            });
        let output = Command::new("repo-add")
            .arg("--quiet")
            .args([&database, &new.unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    }
    base
}

/// Starts a server over a base repository, with these packages as sources.
fn server(folder: &Path, base: &Path, packages: &[(&str, (String, String))]) -> (Sources, Server) {
    let sources = Sources::new(folder);
    for (name, (pkgbuild, srcinfo)) in packages {
        sources.commit_with(name, srcinfo, pkgbuild);
    }
    let bases = folder.join("base.toml");
    let text = format!(
        "[[repository]]\nname = 'base'\narchitectures = ['x86_64']\n\
         servers = ['file://{}']\nsig_level = 'Never'\n",
        base.display()
    );
    std::fs::write(&bases, text).unwrap();
    let server = Server::start_with_base(folder, &sources, &bases);
    (sources, server)
}

#[test]
fn bootstraps_cycle_above_new_soname() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let depends = ["libcyc", "libcyc.so"];
    let base = base(
        folder.path(),
        &[
            ("libcyc", library("libcyc", 1)),
            ("cyc-a", user("cyc-a", "libcyc", &depends, None)),
            ("cyc-b", user("cyc-b", "libcyc", &depends, None)),
        ],
    );
    let (_sources, server) = server(
        folder.path(),
        &base,
        &[
            ("libcyc", library("libcyc", 2)),
            ("cyc-a", user("cyc-a", "libcyc", &depends, Some("cyc-b"))),
            ("cyc-b", user("cyc-b", "libcyc", &depends, Some("cyc-a"))),
        ],
    );
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));

    let refused = cli(&server, &["new", "libcyc/main", "--name", "cyc"]);
    let text = printed(&refused);
    assert_ne!(refused.status.code(), Some(0), "{text}");
    for expected in [
        "needs libcyc.so=1-64",
        "--bootstrap cyc-a",
        "--bootstrap cyc-b",
    ] {
        assert!(text.contains(expected), "{text}");
    }

    let mut new = vec!["new", "libcyc/main", "--name", "cyc", "--follow"];
    new.extend(["--bootstrap", "cyc-a"]);
    let output = cli(&server, &new);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let repository = server.data().join("repos/cyc/1/x86_64");
    for (file, expected) in [
        ("cyc-a-1-1.1-x86_64.pkg.tar.zst", "none"),
        ("cyc-b-1-1.1-x86_64.pkg.tar.zst", "cyc-a 2"),
        ("cyc-a-1-1.2-x86_64.pkg.tar.zst", "cyc-b 2"),
    ] {
        let name = &file[..5];
        let built_with = file_in(
            &repository.join(file),
            &format!("usr/share/{name}/built-with"),
        );
        assert_eq!(built_with.trim(), expected, "{file}");
    }
    let old = PreviousDistribution::in_folder(folder.path(), &base);
    let after = old.upgrades(&server, "cyc", &["cyc-a", "cyc-b", "libcyc"]);
    let after: Vec<String> = after
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    assert_eq!(after, ["cyc-a 1-1.2", "cyc-b 1-1.1", "libcyc 2-1"]);
}

#[test]
fn rebuilds_program_with_undeclared_library_link() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let libfoo = library("libfoo", 1);
    let base = base(folder.path(), &[("libfoo", libfoo.clone())]);
    // Its dependencies pull the library in; the link is declared nowhere.
    let wrapper = (
        "pkgname=wrapper\npkgver=1\npkgrel=1\narch=(any)\ndepends=(libfoo)\npackage() { :; }\n".to_owned(),
        "pkgbase = wrapper\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = any\n\tdepends = libfoo\n\npkgname = wrapper\n"
            .to_owned(),
    );
    let quiet = user("quiet", "libfoo", &[], Some("wrapper"));
    let packages = [("libfoo", libfoo), ("wrapper", wrapper), ("quiet", quiet)];
    let (sources, server) = server(folder.path(), &base, &packages);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    // The wrapper is not a program; quiet does not run it.
    let quiet_without_call = packages[2]
        .1
        .0
        .replace("; then wrapper; else", "; then echo wrapped; else");
    sources.commit_with("quiet", &packages[2].1.1, &quiet_without_call);
    let first = [
        "new",
        "libfoo/main",
        "wrapper/main",
        "quiet/main",
        "--scope",
        "origin",
    ];
    let output = cli(
        &server,
        &[&first[..], &["--name", "first", "--follow"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "first");

    let (pkgbuild, srcinfo) = library("libfoo", 2);
    sources.commit_with("libfoo", &srcinfo, &pkgbuild);
    let plan = cli(&server, &["plan", "libfoo/main", "--json=all"]);
    let text = printed(&plan);
    assert!(text.contains("links libfoo.so.1"), "{text}");
    let output = cli(
        &server,
        &["new", "libfoo/main", "--name", "second", "--follow"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    pacman_upgrades(folder.path(), &server, "second");
    let why = cli(&server, &["why", "second", "quiet"]);
    let text = printed(&why);
    assert!(text.contains("quiet links libfoo.so.1 of libfoo"), "{text}");
    let package = server
        .data()
        .join("repos/second/1/x86_64/quiet-1-1.1-x86_64.pkg.tar.zst");
    assert!(file_in(&package, "usr/bin/quiet").contains("libfoo.so.2"));
}
