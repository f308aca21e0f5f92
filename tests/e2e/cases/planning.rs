//! Inputs, content and output of plans.

use std::path::PathBuf;
use std::process::Command;

use buildbtw_tests::{
    PreviousDistribution, Server, Sources, Worker, cli, file_in, printed, program,
};

use super::support::{built, can_build, failed_once, file_name, input, new, publish};

/// Runs `buildbtw plan --srcinfo tree ORIGIN --arch x86_64` with more arguments, and returns the packages.
fn planned(tree: &str, origin: &str, more: &[&str]) -> Vec<String> {
    let output = Command::new(program("buildbtw"))
        .args(["plan", "--json=all", "--arch", "x86_64", "--srcinfo"])
        .arg(input(tree))
        .arg(origin)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let builds = plan["builds"].as_array().unwrap().iter();
    builds
        .map(|build| build["pkgbase"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn case_06_exact_pin_on_a_bumped_release() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for name in ["lowlib", "kernelish", "modulish"] {
        let path = format!("06-exact-pin-on-a-bumped-release/{name}");
        sources.commit_folder(name, &input(&path));
    }
    let Some(old) = PreviousDistribution::of(folder.path(), &sources, &[]) else {
        return;
    };
    let server = Server::start_with_base(folder.path(), &sources, &old.base_repositories());
    let plan = printed(&cli(&server, &["plan", "lowlib/main"]));
    let problem = "modulish: constraint no longer met: kernelish=6.1-1";
    assert!(plan.contains(problem), "{plan}");
    assert!(plan.contains("kernelish 6.1-1 -> 6.1-1.1"), "{plan}");

    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let (code, text) = new(&server, "pin", &["lowlib/main"]);
    assert_eq!(code, Some(1), "{text}");
    let message = failed_once(&server, "pin", "modulish");
    assert!(message.contains("kernelish=6.1-1"), "{message}");
}

#[test]
fn case_07_versioned_soname_bare_provide() {
    let tree = "07-versioned-soname-bare-provide/tree";
    for scope in [
        &[][..],
        &["--scope=direct"],
        &["--scope=soname"],
        &["--scope=all"],
    ] {
        let found = planned(tree, "libquux", scope);
        assert_eq!(found, ["libquux", "app-bare", "app-pin"], "{scope:?}");
    }
}

#[test]
fn case_13_stale_srcinfo_is_retried() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    sources.commit_folder("stale", &input("13-stale-srcinfo-is-retried/stale"));
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let _worker = Worker::sandboxed(&server, &folder.path().join("scratch"));
    let (code, text) = new(&server, "stale", &["stale/main"]);
    assert_eq!(code, Some(1), "{text}");
    let message = failed_once(&server, "stale", "stale");
    let reason =
        ".SRCINFO is stale: makedepends: .SRCINFO says nothing, the PKGBUILD says `lowlib`";
    assert!(message.starts_with(reason), "{message}");
}

#[test]
fn case_21_arch_suffix_in_an_override() {
    let tree = "21-arch-suffix-in-an-override/tree";
    // usestiny needs archov-tiny, which needs no kernelish.
    assert_eq!(planned(tree, "kernelish", &[]), ["kernelish", "archov"]);

    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut base: Option<String> = None;
    for path in [
        "06-exact-pin-on-a-bumped-release/lowlib",
        "06-exact-pin-on-a-bumped-release/kernelish",
        "03-profile-d-of-makedepends/toolkit",
    ] {
        let repository: Vec<&str> = base.as_deref().into_iter().collect();
        let (packages, _) = built(folder, path, &repository);
        base = Some(publish(folder, &packages));
    }
    let base = base.unwrap();
    let path = "21-arch-suffix-in-an-override/archov";
    let (packages, log) = built(folder, path, &[&base]);
    for (name, expected) in [
        ("archov-1", &["lowlib", "kernelish"][..]),
        ("archov-tiny-1", &["toolkit"]),
    ] {
        let is_wanted = |path: &&PathBuf| file_name(path).starts_with(name);
        let package = packages.iter().find(is_wanted).unwrap();
        let info = file_in(package, ".PKGINFO");
        let lines = info.lines();
        let depends: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("depend = "))
            .collect();
        assert_eq!(depends, expected, "{name}\n{log}");
    }
}
