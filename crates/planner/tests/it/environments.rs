//! Tests of whether environments in cycles can be installed, with old packages from base alongside new ones.

use std::sync::Arc;

use buildbtw_model::Scope;
use buildbtw_planner::{
    BaseIndex, PackageIndex, Patterns, Plan, PlanRequest, ProblemKind, SourcePackage, plan, render,
};

use crate::support::{based, format_plan, index, origin, package, request};

fn planned(index: &PackageIndex, base: &BaseIndex, origins: &[&str], bootstrap: &[&str]) -> Plan {
    let origins = origins.iter().map(|name| origin(index, name)).collect();
    let request = PlanRequest {
        base: Some(base),
        bootstrap: bootstrap.iter().map(|name| name.parse().unwrap()).collect(),
        ..request(origins, Scope::All)
    };
    plan(index, &request)
}

fn kinds(plan: &Plan) -> Vec<ProblemKind> {
    plan.problems.iter().map(|problem| problem.kind).collect()
}

/// Returns a library that needs its user at run time.
fn library_in_a_cycle() -> (PackageIndex, BaseIndex) {
    let index = index([
        package(
            "cyc-a",
            &["pkgver = 2", "provides = liba.so", "depends = cyc-b"],
        ),
        package("cyc-b", &["depends = liba.so", "makedepends = cyc-a"]),
    ]);
    let base = BaseIndex::new(vec![
        based("cyc-a", "1-1", &["cyc-b"], &["liba.so=1-64"]),
        based("cyc-b", "1-1", &["liba.so=1-64"], &[]),
    ]);
    (index, base)
}

#[test]
fn checks_last_builds_of_a_cycle() {
    let (index, base) = library_in_a_cycle();
    // The library comes first: its user then needs its own old version alongside the new library.
    let plan = planned(&index, &base, &["cyc-a"], &[]);
    let text = format_plan(&plan);
    assert!(text.starts_with("cyc-a@1:"), "{text}");
    assert!(
        text.contains(
            "problem: cyc-b: cannot install the dependencies of its build: the old cyc-b 1-1 needs liba.so=1-64"
        ),
        "{text}"
    );
    let [needed] = &plan.needs_bootstrap[..] else {
        panic!("{text}");
    };
    assert!(needed.choices.is_empty(), "{text}");
    assert!(
        needed.reasons[0].starts_with("cyc-b: the old cyc-b 1-1 needs liba.so=1-64"),
        "{needed:?}"
    );
}

#[test]
fn first_stage_keeps_soname_it_was_built_with() {
    let (index, base) = library_in_a_cycle();
    // The user comes first, with the old library; its second build sees that package alongside the new library.
    for bootstrap in [&[][..], &["cyc-b"]] {
        let plan = planned(&index, &base, &["cyc-b"], bootstrap);
        let text = format_plan(&plan);
        assert!(text.starts_with("cyc-b@1:"), "{text}");
        assert!(
            text.contains(
                "problem: cyc-b: cannot install the dependencies of its second build: the new cyc-b 1-1, \
                 which is built with the old library, needs liba.so=1-64, but cyc-a is expected to change \
                 its soname between 1-1 and 2-1"
            ),
            "{text}"
        );
        assert_eq!(plan.needs_bootstrap.len(), 1, "{text}");
        assert!(plan.needs_bootstrap[0].choices.is_empty(), "{text}");
    }
    // Without the program in base, the soname is still that of the old library.
    let base = BaseIndex::new(base.packages()[..1].to_vec());
    let plan = planned(&index, &base, &["cyc-b"], &["cyc-b"]);
    assert_eq!(plan.needs_bootstrap.len(), 1, "{}", format_plan(&plan));
}

#[test]
fn accepts_first_stage_built_with_the_new_library() {
    // The same with the library below the cycle.
    let index = index([
        package("lib", &["pkgver = 2", "provides = lib.so"]),
        package("a", &["depends = b", "depends = lib.so"]),
        package("b", &["depends = lib.so", "makedepends = a"]),
    ]);
    let base = BaseIndex::new(vec![
        based("lib", "1-1", &[], &["lib.so=1-64"]),
        based("a", "1-1", &["b", "lib.so=1-64"], &[]),
        based("b", "1-1", &["lib.so=1-64"], &[]),
    ]);
    let plan = planned(&index, &base, &["lib"], &["b"]);
    assert!(plan.needs_bootstrap.is_empty(), "{}", format_plan(&plan));
    assert!(plan.problems.is_empty(), "{}", format_plan(&plan));
}

/// Returns a cycle of programs that need a library available for each word size.
fn cycle_of_both_word_sizes(of_64: &str, of_32: &str, needed: &str) -> Plan {
    let library = |name: &str, version: &str| {
        package(
            name,
            &[&format!("pkgver = {version}"), "provides = libfoo.so"],
        )
    };
    let both = ["depends = libfoo", "depends = lib32-libfoo"];
    let index = index([
        library("libfoo", of_64),
        library("lib32-libfoo", of_32),
        package("a", &[&both[..], &["makedepends = b"]].concat()),
        package("b", &[&both[..], &["makedepends = a"]].concat()),
    ]);
    let base = BaseIndex::new(vec![
        based("libfoo", "1-1", &[], &["libfoo.so=1-64"]),
        based("lib32-libfoo", "1-1", &[], &["libfoo.so=1-32"]),
        based("a", "1-1", &[needed], &[]),
        based("b", "1-1", &[needed], &[]),
    ]);
    planned(&index, &base, &["libfoo", "lib32-libfoo"], &[])
}

#[test]
fn library_of_another_word_size_satisfies_nothing() {
    for (of_64, of_32, needed, is_refused) in [
        ("2", "2", "libfoo.so=1-64", true),
        ("2", "1", "libfoo.so=1-64", true),
        ("1", "2", "libfoo.so=1-64", false),
        ("2", "1", "libfoo.so=1-32", false),
        ("1", "2", "libfoo.so=1-32", true),
    ] {
        let plan = cycle_of_both_word_sizes(of_64, of_32, needed);
        assert_eq!(
            !plan.needs_bootstrap.is_empty(),
            is_refused,
            "{of_64} {of_32} {needed}: {}",
            format_plan(&plan)
        );
        let name = if needed.ends_with("-64") {
            "but libfoo is"
        } else {
            "but lib32-libfoo is"
        };
        for needed in &plan.needs_bootstrap {
            assert!(needed.reasons[0].contains(name), "{needed:?}");
        }
    }
}

#[test]
fn ignores_library_that_no_member_provides() {
    let library = package("lib", &["pkgver = 2", "provides = lib.so"]);
    let a = package(
        "a",
        &["depends = lib", "makedepends = b", "makedepends = q"],
    );
    let b = package("b", &["depends = lib", "makedepends = a"]);
    let base = BaseIndex::new(vec![
        based("lib", "1-1", &[], &["lib.so=1-64"]),
        based("a", "1-1", &["lib"], &[]),
        based("b", "1-1", &["lib"], &[]),
        based("q", "1-1", &["lib.so=1-64"], &[]),
    ]);
    let check = |packages: Vec<Arc<SourcePackage>>| {
        let index = index(packages);
        let request = PlanRequest {
            base: Some(&base),
            exclude: Patterns::new(&["q"]).unwrap(),
            ..request(vec![origin(&index, "lib")], Scope::All)
        };
        let plan = plan(&index, &request);
        let text = format_plan(&plan);
        assert!(plan.needs_bootstrap.is_empty(), "{text}");
        assert!(
            kinds(&plan).contains(&ProblemKind::NotInstallable),
            "{text}"
        );
        assert!(text.contains("the old q 1-1 needs lib.so=1-64"), "{text}");
    };
    check(vec![library.clone(), a.clone(), b.clone()]);
    // The result is the same if a source builds it and it is excluded.
    check(vec![library, a, b, package("q", &["depends = lib"])]);
}

#[test]
fn installs_highest_version_of_two_providers() {
    let plan_of = |first: &str, second: &str, needed: &str| {
        let producer = |pkgbase: &str, version: &str| {
            let version = format!("pkgver = {version}");
            let provides = format!("provides = libx.so={}-64", &version[9..]);
            package(pkgbase, &[&version, "pkgname = libx", &provides])
        };
        let lines = |other: &str| format!("makedepends = {other}");
        let index = index([
            producer("maker-1", first),
            producer("maker-2", second),
            package("a", &["depends = libx", &lines("b")]),
            package("b", &["depends = libx", &lines("a")]),
        ]);
        let base = BaseIndex::new(vec![
            based("libx", "2-1", &[], &["libx.so=2-64"]),
            based("a", "1-1", &[needed], &[]),
            based("b", "1-1", &[needed], &[]),
        ]);
        planned(&index, &base, &["maker-1", "maker-2"], &[])
    };
    for (first, second, needed, is_refused) in [
        ("2", "1", "libx>=2", false),
        ("2", "1", "libx.so=2-64", false),
        ("1", "2", "libx.so=2-64", false),
        ("2", "3", "libx.so=2-64", true),
        ("3", "2", "libx.so=2-64", true),
    ] {
        let plan = plan_of(first, second, needed);
        assert_eq!(
            !plan.needs_bootstrap.is_empty(),
            is_refused,
            "{first} {second} {needed}: {}",
            format_plan(&plan)
        );
    }
}

/// Returns a ring of programs, each of which is built with the one before, above a library.
fn ring(size: usize) -> (PackageIndex, BaseIndex) {
    let name = |number: usize| format!("p{number:02}");
    let mut sources = vec![package("lib", &["pkgver = 2", "provides = lib.so"])];
    let mut old = vec![based("lib", "1-1", &[], &["lib.so=1-64"])];
    for number in 0..size {
        let before = format!("makedepends = {}", name((number + size - 1) % size));
        let first = format!("depends = {}", name(0));
        let lines = ["depends = lib.so", &before, &first];
        let lines = if number == 0 { &lines[..2] } else { &lines };
        sources.push(package(&name(number), lines));
        old.push(based(&name(number), "1-1", &["lib.so=1-64"], &[]));
    }
    (index(sources), BaseIndex::new(old))
}

#[test]
fn tries_a_bounded_number_of_members_of_a_large_cycle() {
    let (index, base) = ring(20);
    let plan = planned(&index, &base, &["lib"], &[]);
    let text = format_plan(&plan);
    let [needed] = &plan.needs_bootstrap[..] else {
        panic!("{text}");
    };
    assert_eq!(needed.members.len(), 20, "{text}");
    // The dependents of the first one need it at run time as well, and cannot omit it.
    assert_eq!(needed.untried, 7, "{text}");
    // The one whose old package blocks the others is among those that are tried.
    assert!(!needed.choices.is_empty(), "{text}");
    for choice in &needed.choices {
        let plan = planned(&index, &base, &["lib"], &[choice.as_str()]);
        assert!(plan.needs_bootstrap.is_empty(), "{}", format_plan(&plan));
    }
    let text = render::text(&plan);
    assert!(text.contains("7 other packages were not tried"), "{text}");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["needs_bootstrap"][0]["untried"], 7);
}

#[test]
fn reports_dependency_missing_in_many_builds_once() {
    // All of them are built with a tool of base that needs the old library.
    let mut packages = vec![package("lib", &["pkgver = 2", "provides = lib.so"])];
    for number in 0..30 {
        let before = format!("makedepends = p{:02}", (number + 29) % 30);
        let lines = ["depends = lib", "makedepends = tool", &before];
        packages.push(package(&format!("p{number:02}"), &lines));
    }
    let index = index(packages);
    let base = BaseIndex::new(vec![
        based("lib", "1-1", &[], &["lib.so=1-64"]),
        based("tool", "1-1", &["lib.so=1-64"], &[]),
    ]);
    let plan = planned(&index, &base, &["lib"], &[]);
    let text = format_plan(&plan);
    let reported: Vec<_> = plan
        .problems
        .iter()
        .filter(|problem| problem.message.contains("the old tool"))
        .collect();
    let [problem] = &reported[..] else {
        panic!("{text}");
    };
    assert!(
        problem.message.ends_with("; 30 more builds are affected"),
        "{text}"
    );
}

#[test]
fn autodetected_libraries_follow_their_packages() {
    for (version, is_refused) in [("1", false), ("2", true)] {
        let version = format!("pkgver = {version}");
        let index = index([
            package("lib", &[&version]),
            package("a", &["depends = lib", "makedepends = b"]),
            package("b", &["depends = lib", "makedepends = a"]),
        ]);
        let base = BaseIndex::new(vec![
            based("lib", "1-1", &[], &["lib:libx.so.1"]),
            based("a", "1-1", &["lib:libx.so.1"], &[]),
            based("b", "1-1", &["lib:libx.so.1"], &[]),
        ]);
        let plan = planned(&index, &base, &["lib"], &[]);
        assert_eq!(
            !plan.needs_bootstrap.is_empty(),
            is_refused,
            "{}",
            format_plan(&plan)
        );
    }
}

#[test]
fn uses_base_packages_the_source_builds_for_other_architectures() {
    let index = index([
        package("lib", &["arch = aarch64"]),
        package("middle", &["arch = x86_64", "provides = virtual"]),
        package("app", &["arch = aarch64", "depends = middle"]),
        package("tool", &["arch = aarch64", "depends = far"]),
    ]);
    let base = BaseIndex::new(vec![
        based("middle", "1-1", &["lib"], &[]),
        based("far", "1-1", &["middle"], &[]),
    ]);
    let request = PlanRequest {
        architecture: "aarch64".parse().unwrap(),
        base: Some(&base),
        ..request(vec![origin(&index, "lib")], Scope::Transitive)
    };
    insta::assert_snapshot!(format_plan(&plan(&index, &request)), @r"
    lib@1:  (lib)
    app@1: lib@1 (lib middle app)
    tool@1: lib@1 (lib middle far tool)
    ");
}
