//! The packages of this project: built by its own builder, and installed by pacman.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use buildbtw_package::PackageWriter;
use buildbtw_tests::{has_tool, is_root, printed, program};

const PROGRAMS: [&str; 4] = [
    "buildbtw",
    "buildbtw-server",
    "buildbtw-worker",
    "buildbtw-executor",
];

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", printed(&output));
    output
}

/// Creates the folder of the PKGBUILD with the compiled programs.
fn prepare(folder: &Path) -> PathBuf {
    let (manual, source) = (folder.join("manual"), folder.join("source"));
    run(Command::new(program("buildbtw-manual")).arg(&manual));
    let programs = program("buildbtw");
    run(Command::new(packaging().join("arch/prepare"))
        .arg(&source)
        .arg("--ready")
        .arg(programs.parent().unwrap())
        .arg(&manual));
    source
}

/// Returns the names of packages, other than our own, that a `.SRCINFO` says its packages depend on.
fn dependencies(srcinfo: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(srcinfo).unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("depends = "))
        .map(str::to_owned)
        .collect()
}

/// Writes a package without content.
fn write_empty(name: &str, folder: &Path) -> PathBuf {
    let text = format!(
        "pkgname = {name}\npkgbase = {name}\npkgver = 1-1\npkgdesc = empty\nbuilddate = 1\n\
         packager = Test\nsize = 0\narch = any\n"
    );
    let mut package = PackageWriter::new(1);
    package.file(".PKGINFO", text.as_bytes()).unwrap();
    let path = folder.join(format!("{name}-1-1-any.pkg.tar.zst"));
    std::fs::write(&path, package.finish().unwrap()).unwrap();
    path
}

/// Installs packages into a new root.
fn install(folder: &Path, packages: &[PathBuf]) -> PathBuf {
    let root = folder.join("root");
    for folder in ["var/lib/pacman", "cache"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let config = folder.join("pacman.conf");
    let text = "[options]\nArchitecture = auto\nSigLevel = Never\nLocalFileSigLevel = Never\n";
    std::fs::write(&config, text).unwrap();
    run(Command::new("pacman")
        .args(["--noconfirm", "--upgrade", "--config"])
        .arg(&config)
        .arg("--root")
        .arg(&root)
        .arg("--dbpath")
        .arg(root.join("var/lib/pacman"))
        .arg("--cachedir")
        .arg(root.join("cache"))
        .args(["--hookdir", "/nonexistent"])
        .args(packages));
    root
}

#[test]
fn own_builder_builds_packages_that_pacman_installs() {
    let tools = ["pacman", "makepkg", "bwrap", "bsdtar"];
    if !is_root() || !tools.iter().all(|tool| has_tool(tool)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = prepare(folder.path());
    let out = folder.path().join("packages");
    let output = run(Command::new(program("buildbtw"))
        .arg("build")
        .arg("--output")
        .arg(&out)
        .arg(&source));
    let printed_paths = String::from_utf8(output.stdout).unwrap();
    let files: Vec<PathBuf> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), PROGRAMS.len(), "{files:?}\n{printed_paths}");

    // Dependencies that no package provides fail the installation.
    let mut packages = files;
    for name in dependencies(&source.join(".SRCINFO")) {
        packages.push(write_empty(&name, folder.path()));
    }
    let root = install(folder.path(), &packages);
    for name in PROGRAMS {
        let output = run(Command::new(root.join("usr/bin").join(name)).arg("--version"));
        let version = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(version, expected);
    }
    for file in [
        "etc/buildbtw/base-repositories.toml",
        "etc/buildbtw/server.toml",
        "etc/buildbtw/worker.toml",
        "usr/lib/systemd/system/buildbtw-executor-metrics.service",
        "usr/lib/systemd/system/buildbtw-executor-reap.timer",
        "usr/lib/systemd/system/buildbtw-server.service",
        "usr/lib/systemd/system/buildbtw-server.socket",
        "usr/lib/systemd/system/buildbtw-worker@.service",
        "usr/lib/sysusers.d/buildbtw-server.conf",
        "usr/lib/tmpfiles.d/buildbtw-server.conf",
        "usr/lib/tmpfiles.d/buildbtw-worker.conf",
        "usr/share/bash-completion/completions/buildbtw",
        "usr/share/buildbtw/buildbtw.json",
        "usr/share/buildbtw/buildbtw.rules.yml",
        "usr/share/doc/buildbtw-executor/executor.toml.example",
        "usr/share/doc/buildbtw-server/gitlab.md",
        "usr/share/doc/buildbtw-server/install.md",
        "usr/share/doc/buildbtw-server/monitoring.md",
        "usr/share/fish/vendor_completions.d/buildbtw.fish",
        "usr/share/licenses/buildbtw/LICENSE-APACHE",
        "usr/share/licenses/buildbtw-server/LICENSE-APACHE",
        "usr/share/man/man1/buildbtw-new.1.gz",
        "usr/share/man/man1/buildbtw.1.gz",
        "usr/share/man/man8/buildbtw-executor-metrics.8.gz",
        "usr/share/man/man8/buildbtw-executor.8.gz",
        "usr/share/man/man8/buildbtw-server-run.8.gz",
        "usr/share/man/man8/buildbtw-worker-run.8.gz",
        "usr/share/zsh/site-functions/_buildbtw-server",
    ] {
        assert!(root.join(file).is_file(), "{file} is missing");
    }
    for name in PROGRAMS {
        let completions = root
            .join("usr/share/bash-completion/completions")
            .join(name);
        run(Command::new("bash").arg("-n").arg(completions));
    }
    owns_its_files_only(&root);
}

/// Checks that no package contains a file of another one, and that settings survive an upgrade.
fn owns_its_files_only(root: &Path) {
    let local = root.join("var/lib/pacman/local");
    let mut owners = BTreeMap::new();
    for name in PROGRAMS {
        let version = env!("CARGO_PKG_VERSION");
        let files = local.join(format!("{name}-{version}-1/files"));
        let text = std::fs::read_to_string(files).unwrap();
        let (files, settings) = text.split_once("%BACKUP%").unwrap_or((&text, ""));
        for file in files.lines().filter(|line| !line.ends_with('/')) {
            if let Some(other) = owners.insert(file.to_owned(), name) {
                assert!(
                    file.is_empty() || file.starts_with('%'),
                    "{file}: {other} and {name}"
                );
            }
            let is_kept = settings
                .lines()
                .any(|line| line.starts_with(&format!("{file}\t")));
            assert!(is_kept || !file.starts_with("etc/"), "{name}: {file}");
        }
    }
    assert!(owners.contains_key("usr/bin/buildbtw-worker"), "{owners:?}");
}

/// Returns the value of `name=value` in a PKGBUILD, or of `name = "value"` in a `Cargo.toml`.
fn value(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| {
        let (found, value) = line.split_once('=')?;
        (found.trim() == name).then_some(value)
    });
    line.unwrap().trim().trim_matches('"').to_owned()
}

#[test]
fn packages_contain_the_notes_that_hints_name() {
    let root = packaging().join("..");
    let script = std::fs::read_to_string(packaging().join("install")).unwrap();
    let mut named = 0;
    for package in ["server", "worker", "executor"] {
        let (_, function) = script.split_once(&format!("\n{package}() {{")).unwrap();
        let (function, _) = function.split_once("\n}").unwrap();
        let mut grep = Command::new("grep");
        grep.args(["-rho", "--include=*.rs", "--include=.env.example"])
            .args(["notes/[a-z]*\\.md", &format!("{package}/src")])
            // Explains the settings of the server.
            .args((package == "server").then_some(".env.example"));
        let output = grep.current_dir(&root).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        for note in output.lines().collect::<BTreeSet<_>>() {
            assert!(
                function.contains(&format!("put {note} ")),
                "{package}: {note}"
            );
            named += 1;
        }
    }
    assert!(named > 2, "{named}");
}

#[test]
fn packages_have_the_version_of_the_programs() {
    let read = |path: &str| std::fs::read_to_string(packaging().join(path)).unwrap();
    let pkgbuild = read("arch/PKGBUILD");
    assert_eq!(value(&pkgbuild, "pkgver"), env!("CARGO_PKG_VERSION"));
    assert_eq!(
        value(&read("arch/.SRCINFO"), "pkgver"),
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn debian_packages_contain_the_files_of_the_others() {
    let root = packaging().join("..");
    let script = std::fs::read_to_string(packaging().join("install")).unwrap();
    for (package, folder) in [
        ("client", "client"),
        ("server", "server"),
        ("worker", "worker"),
        ("executor", "executor"),
    ] {
        let manifest = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        let (_, assets) = manifest.split_once("\nassets = [").unwrap();
        let (assets, _) = assets.split_once("\n]").unwrap();
        let sources: Vec<&str> = assets
            .lines()
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        for source in &sources {
            // Compiled programs and generated pages do not exist yet.
            let is_built = source.contains("target/");
            let path = root.join(folder).join(source);
            assert!(is_built || path.is_file(), "{folder}: {source} is missing");
        }
        let (_, function) = script.split_once(&format!("\n{package}() {{")).unwrap();
        let (function, _) = function.split_once("\n}").unwrap();
        for line in function
            .lines()
            .filter_map(|line| line.trim().strip_prefix("put "))
        {
            let (file, place) = line.split_once(' ').unwrap();
            let name = file.rsplit('/').next();
            let is_there = sources
                .iter()
                .any(|source| source.rsplit('/').next() == name);
            // This one becomes the file `copyright`.
            let is_copyright = name == Some("LICENSE-MIT") && manifest.contains("LICENSE-MIT");
            assert!(is_there || is_copyright, "{folder}: {file} {place}");
        }
    }
}
