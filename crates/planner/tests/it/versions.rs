//! Tests of a plan's versions, and of constraints that they no longer meet.

use std::sync::Arc;

use buildbtw_model::{PackageVersion, Pkgbase, Pkgname, Scope};
use buildbtw_planner::{PackageIndex, Plan, ProblemKind, computes_version, plan};

use crate::support::{index, origin, package, request};

/// Returns a plan with versions, for one origin as it is in the index.
fn planned(index: &PackageIndex, name: &str, base: &[(&str, &str)]) -> Plan {
    planned_with(index, name, base, true)
}

fn planned_with(index: &PackageIndex, name: &str, base: &[(&str, &str)], bump: bool) -> Plan {
    let origins = vec![origin(index, name)];
    let mut plan = plan(index, &request(origins.clone(), Scope::All));
    let in_base = |_: &Pkgbase, name: &Pkgname| -> Vec<PackageVersion> {
        let found = base.iter().filter(|(known, _)| *known == name.as_str());
        found.map(|(_, version)| version.parse().unwrap()).collect()
    };
    plan.expect_versions(index, &origins, &in_base, bump);
    plan
}

fn versions(plan: &Plan) -> Vec<String> {
    let builds = plan.builds.iter().zip(plan.versions());
    builds
        .map(|(build, version)| {
            let note = version.note().map(|note| format!(" ({note})"));
            format!(
                "{} {}{}",
                build.pkgbase,
                version.version,
                note.unwrap_or_default()
            )
        })
        .collect()
}

fn problems(plan: &Plan) -> Vec<String> {
    let problems = plan.problems.iter();
    problems
        .map(|problem| format!("{}: {}", problem.pkgbase, problem.message))
        .collect()
}

#[test]
fn bumps_release_of_rebuilds_and_of_origins_already_in_base() {
    let index = index([
        package("lib", &["pkgver = 2"]),
        package("app", &["depends = lib"]),
    ]);
    let plan = planned(&index, "lib", &[("lib", "1-1"), ("app", "1-1.2")]);
    assert_eq!(versions(&plan), ["lib 2-1", "app 1-1.3"]);
    assert_eq!(problems(&plan), [""; 0]);
    let plan = planned(&index, "lib", &[("lib", "2-1")]);
    assert_eq!(versions(&plan), ["lib 2-1.1", "app 1-1.1"]);
}

#[test]
fn reports_newer_version_in_base() {
    let index = index([package("lib", &[]), package("app", &["depends = lib"])]);
    let plan = planned(&index, "lib", &[("lib", "1:1-1"), ("app", "2-1")]);
    let note = "older than base, `pacman -Syu` will not install it";
    assert_eq!(
        versions(&plan),
        [
            format!("lib 1-1 ({note} (base has 1:1-1))"),
            format!("app 1-1.1 ({note} (base has 2-1))"),
        ]
    );
    assert_eq!(
        problems(&plan),
        [
            "app: 1-1.1 would not install over 2-1 of the base repositories: its build fails"
                .to_owned(),
            format!("lib: 1-1 is {note} (base has 1:1-1)"),
        ]
    );
    let text = buildbtw_planner::render::text(&plan);
    assert!(text.contains(note), "{text}");
    let json = serde_json::to_string(&plan).unwrap();
    assert!(
        json.contains("\"version\":\"1-1.1\"") && json.contains(note),
        "{json}"
    );
}

#[test]
fn marks_computed_versions() {
    let index = index([
        package("lib", &[]),
        package("vcs", &["depends = lib", "source = git+https://h/vcs"]),
    ]);
    let plan = planned(&index, "lib", &[("vcs", "9-1")]);
    assert_eq!(
        versions(&plan),
        ["lib 1-1", "vcs 1-1.1 (version computed at build time)"]
    );
    assert_eq!(problems(&plan), [""; 0]);
    let architecture = "x86_64".parse().unwrap();
    for (name, source, expected) in [
        ("x", "git+https://h/x", true),
        ("x", "y::git://h/x#branch=next", true),
        ("x", "svn+https://h/x", true),
        ("x", "git+https://h/x#tag=v1", false),
        ("x", "git+https://h/x?signed#tag=v1", false),
        ("x", "git+https://h/x#commit=abc", false),
        ("x-git", "git+https://h/x#commit=abc", true),
        ("x", "https://h/x.git", false),
        ("x-git", "x.patch", false),
        ("x", "git.patch", false),
    ] {
        let package = package(name, &[&format!("source = {source}")]);
        assert_eq!(
            computes_version(&package, &architecture),
            expected,
            "{name} {source}"
        );
    }
}

/// Returns an index with a kernel and a module for one release of it.
fn with_module(kernel: &str, version: &str, module: &str) -> PackageIndex {
    let version = format!("pkgver = {version}");
    index([
        package("lib", &[]),
        package("kernel", &["pkgver = 6.1", "depends = lib", kernel]),
        package("module", &[&version, module]),
    ])
}

#[test]
fn reports_pin_on_bumped_release() {
    for (kernel, module) in [
        ("", "depends = kernel=6.1-1"),
        ("", "makedepends = kernel=6.1-1"),
        ("", "checkdepends = kernel=6.1-1"),
        ("", "depends = kernel<6.1-1.1"),
        ("", "depends = kernel<=6.1-1"),
        ("provides = linux=6.1-1", "depends = linux=6.1-1"),
    ] {
        let index = with_module(kernel, "2.2", module);
        let plan = planned(&index, "lib", &[]);
        let (_, relation) = module.split_once(" = ").unwrap();
        assert_eq!(
            problems(&plan),
            [format!(
                "module: constraint no longer met: {relation} (met by kernel 6.1-1, but not by the \
                 planned 6.1-1.1)"
            )],
            "{kernel} {module}"
        );
        assert_eq!(plan.problems[0].kind, ProblemKind::ConstraintNoLongerMet);
    }
}

#[test]
fn accepts_constraints_satisfied_by_bumped_release() {
    for (kernel, module) in [
        ("", "depends = kernel=6.1"),
        ("", "depends = kernel>=6.1-1"),
        ("", "depends = kernel<6.2"),
        ("", "depends = kernel"),
        // Never satisfied, which is a different problem.
        ("", "depends = kernel=5.0-1"),
        ("provides = linux=6", "depends = linux=6"),
    ] {
        let index = with_module(kernel, "2.2", module);
        let plan = planned(&index, "lib", &[]);
        assert_eq!(problems(&plan), [""; 0], "{kernel} {module}");
    }
    // Two PKGBUILDs with the same version may follow each other.
    let index = with_module("", "6.1", "depends = kernel=6.1-1");
    assert_eq!(problems(&planned(&index, "lib", &[])), [""; 0]);
}

#[test]
fn accepts_pins_between_packages_of_one_pkgbuild() {
    let split = [
        "depends = lib",
        "pkgname = pair",
        "depends = pair-docs=1-1",
        "pkgname = pair-docs",
    ];
    let index = index([package("lib", &[]), package("pair", &split)]);
    assert_eq!(problems(&planned(&index, "lib", &[])), [""; 0]);
}

#[test]
fn checks_run_time_dependencies_of_outside_packages() {
    let index = with_module("", "2.2", "depends = kernel=6.1-1");
    let origins = vec![origin(&index, "lib")];
    let mut request = request(origins.clone(), Scope::All);
    request.exclude = buildbtw_planner::Patterns::new(&["module"]).unwrap();
    let mut plan = plan(&index, &request);
    plan.expect_versions(&index, &origins, &|_, _| Vec::new(), true);
    assert_eq!(
        problems(&plan),
        [
            "module: constraint no longer met: kernel=6.1-1, outside the rebuild (met by kernel 6.1-1, \
             but not by the planned 6.1-1.1)"
        ]
    );
    // Another package satisfies it.
    let mut packages: Vec<_> = index.iter().map(Arc::clone).collect();
    packages.push(package("other", &["provides = kernel=6.1-1"]));
    let index = crate::support::index(packages);
    assert_eq!(problems(&planned(&index, "lib", &[])), [""; 0]);
}

#[test]
fn keeps_releases_without_bump_and_reports_older_than_base() {
    let index = index([
        package("lib", &["pkgver = 2"]),
        package("app", &["depends = lib"]),
    ]);
    let plan = planned_with(&index, "lib", &[("lib", "3-1"), ("app", "1-1")], false);
    let older = "older than base, `pacman -Syu` will not install it (base has 3-1)";
    assert_eq!(
        versions(&plan),
        [format!("lib 2-1 ({older})"), "app 1-1".into()]
    );
    assert_eq!(problems(&plan), [format!("lib: 2-1 is {older}")]);
}

#[test]
fn ignores_pins_of_packages_not_built_for_the_architecture() {
    // A package for another architecture only, and one of a split package.
    for lines in [
        &["arch = aarch64", "depends = kernel=6.1-1"][..],
        &[
            "arch = x86_64",
            "arch = aarch64",
            "pkgname = module",
            "depends = lib",
            "pkgname = module-arm",
            "arch = aarch64",
            "depends = kernel=6.1-1",
        ],
    ] {
        let index = index([
            package("lib", &[]),
            package("kernel", &["pkgver = 6.1", "depends = lib"]),
            package("module", &[lines, &["depends = lib"]].concat()),
        ]);
        assert_eq!(problems(&planned(&index, "lib", &[])), [""; 0], "{lines:?}");
    }
    // It provides nothing either, built or not.
    for built in ["depends = lib", "depends = other"] {
        let index = index([
            package("lib", &[]),
            package("kernel", &["pkgver = 6.1", "depends = lib"]),
            package("module", &["depends = kernel=6.1-1"]),
            package(
                "old-kernel",
                &[
                    "pkgver = 6.1",
                    "arch = x86_64",
                    "arch = aarch64",
                    built,
                    "pkgname = old-kernel",
                    "pkgname = old-kernel-arm",
                    "arch = aarch64",
                    "provides = kernel=6.1-1",
                ],
            ),
        ]);
        let found = problems(&planned(&index, "lib", &[]));
        let [found] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(
            found.starts_with("module: constraint no longer met: kernel=6.1-1"),
            "{found}"
        );
    }
}

#[test]
fn names_first_build_of_several_causes() {
    let provider = |name: &str| {
        package(
            name,
            &["pkgver = 6.1", "depends = lib", "provides = kernel=6.1-1"],
        )
    };
    let mut packages = vec![
        package("lib", &[]),
        package("module", &["depends = kernel=6.1-1", "makedepends = lib"]),
    ];
    packages.extend(["c", "a", "b", "e", "d"].map(provider));
    let index = index(packages);
    for _ in 0..20 {
        let problems = problems(&planned(&index, "lib", &[]));
        assert!(problems[0].contains("(met by a 6.1-1,"), "{problems:?}");
    }
}

/// Returns sources in which `oldbase 1-3` and `newbase` both build `moved`.
fn with_two_producers(new_version: &str) -> PackageIndex {
    let old = [
        "pkgrel = 3",
        "depends = lib",
        "pkgname = oldbase",
        "pkgname = moved",
    ];
    let (pkgver, pkgrel) = new_version.split_once('-').unwrap();
    let (pkgver, pkgrel) = (format!("pkgver = {pkgver}"), format!("pkgrel = {pkgrel}"));
    let new = [&*pkgver, &pkgrel, "depends = lib", "pkgname = moved"];
    index([
        package("lib", &[]),
        package("oldbase", &old),
        package("newbase", &new),
        package("needsmoved", &["depends = moved"]),
        package("zunbuilt", &["pkgname = zunbuilt", "pkgname = moved"]),
    ])
}

#[test]
fn reports_package_of_several_pkgbases_and_names_the_listed_one() {
    for (new_version, raised, bump) in [
        ("2-1", "2-1.1", true),
        ("2-1", "2-1", false),
        // With equal versions, the first by name gets the higher release.
        ("1-3", "1-3.2", true),
        ("1-3", "1-3.1", false),
        // The listed one is the first by version, not by name.
        ("0-1", "0-1.1", true),
    ] {
        let index = with_two_producers(new_version);
        let plan = planned_with(&index, "lib", &[], bump);
        let old = if bump { "1-3.1" } else { "1-3" };
        let listed = match new_version {
            "0-1" => format!("{old} of oldbase"),
            _ => format!("{raised} of newbase"),
        };
        let pkgbase = listed.split(' ').next_back().unwrap();
        assert_eq!(
            problems(&plan),
            [format!(
                "{pkgbase}: several source packages produce moved: newbase {raised}, oldbase {old}, \
                 zunbuilt 1-1; the repository lists the highest version that is built, {listed}"
            )]
        );
        assert_eq!(plan.problems[0].kind, ProblemKind::SamePackage);
        let text = buildbtw_planner::render::text(&plan);
        for build in [format!("  newbase {raised} "), format!("  oldbase {old} ")] {
            assert!(text.contains(&build), "{build} is not in\n{text}");
        }
    }
}

#[test]
fn ignores_pkgbases_that_build_the_package_for_other_architectures() {
    let arm = ["arch = aarch64", "pkgname = lib"];
    let index = index([package("lib", &[]), package("lib-arm", &arm)]);
    assert_eq!(problems(&planned(&index, "lib", &[])), [""; 0]);
}
