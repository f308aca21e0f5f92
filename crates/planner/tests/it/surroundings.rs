//! Plans that use the content of base repositories and the libraries that built packages link.

use buildbtw_model::Scope;
use buildbtw_planner::{
    BaseIndex, PackageIndex, Plan, PlanRequest, ProblemKind, Soname, Sonames, plan,
    plan_with_footprint, render,
};

use crate::support::{based, format_plan, index, origin, package, request};

fn soname(name: &str) -> Soname {
    Soname {
        name: name.into(),
        is_64_bit: true,
    }
}

#[test]
fn follows_chains_through_packages_only_in_base() {
    let index = index([
        package("lib", &["provides = lib.so"]),
        package("app", &["depends = between"]),
        package("tool", &["makedepends = far"]),
        package("unrelated", &["depends = glibc"]),
    ]);
    let base = BaseIndex::new(vec![
        based("glibc", "2-1", &[], &[]),
        based("middle", "1-1", &["lib.so"], &["between"]),
        based("far", "1-1", &["middle>=1", "glibc"], &[]),
        // A source package produces this one.
        based("app", "1-1", &["nothing"], &[]),
    ]);
    let of = |scope| {
        plan(
            &index,
            &PlanRequest {
                base: Some(&base),
                ..request(vec![origin(&index, "lib")], scope)
            },
        )
    };
    insta::assert_snapshot!(format_plan(&of(Scope::Transitive)), @r"
    lib@1:  (lib)
    app@1: lib@1 (lib middle app)
    ");
    insta::assert_snapshot!(format_plan(&of(Scope::All)), @r"
    lib@1:  (lib)
    app@1: lib@1 (lib middle app)
    tool@1: lib@1 (lib middle far tool)
    ");
    let direct = of(Scope::Direct);
    assert_eq!(direct.builds.len(), 1);
    // Packages in base are not missing.
    assert!(of(Scope::All).unresolved.is_empty());
    let unrelated = plan(
        &index,
        &PlanRequest {
            base: Some(&base),
            ..request(vec![origin(&index, "unrelated")], Scope::All)
        },
    );
    assert!(unrelated.unresolved.is_empty());
}

#[test]
fn keeps_order_through_packages_of_base() {
    let index = index([
        package("lib", &[]),
        package("app", &["depends = lib", "makedepends = middle"]),
        package("plugin", &["depends = lib"]),
    ]);
    let base = BaseIndex::new(vec![based("middle", "1-1", &["plugin"], &[])]);
    let plan = plan(
        &index,
        &PlanRequest {
            base: Some(&base),
            ..request(vec![origin(&index, "lib")], Scope::Direct)
        },
    );
    insta::assert_snapshot!(format_plan(&plan), @r"
    lib@1:  (lib)
    plugin@1: lib@1 (lib plugin)
    app@1: lib@1 plugin@1 (lib app)
    ");
}

#[test]
fn rebuilds_packages_with_undeclared_library_links() {
    let index = index([
        package("lib", &[]),
        package("quiet", &["makedepends = lib"]),
        package("honest", &["depends = lib"]),
        package("on-quiet", &["depends = quiet"]),
        package("other", &[]),
    ]);
    let mut sonames = Sonames::default();
    sonames.add_library("lib", &soname("lib.so.1"));
    for user in ["quiet", "honest", "lib", "not-in-the-sources"] {
        sonames.add_link(user, &soname("lib.so.1"));
    }
    let other_size = Soname {
        is_64_bit: false,
        ..soname("lib.so.1")
    };
    sonames.add_link("other", &other_size);
    let of = |scope| {
        let request = PlanRequest {
            sonames: Some(&sonames),
            ..request(vec![origin(&index, "lib")], scope)
        };
        plan(&index, &request)
    };
    insta::assert_snapshot!(format_plan(&of(Scope::Transitive)), @r"
    lib@1:  (lib)
    honest@1: lib@1 (lib honest)
    quiet@1: lib@1 (lib quiet) links lib.so.1
    on-quiet@1: quiet@1 (lib quiet on-quiet)
    ");
    for scope in [Scope::Direct, Scope::Soname] {
        let plan = of(scope);
        assert!(plan.why(&"quiet".parse().unwrap()).is_some(), "{scope}");
    }
    // In this scope, the reason is the dependency.
    let all = of(Scope::All);
    assert!(all.builds.iter().all(|build| all.links(build).is_none()));
    let json = serde_json::to_value(of(Scope::Transitive)).unwrap();
    assert_eq!(json["builds"][2]["via"], "links lib.so.1");
    assert_eq!(
        json["builds"][2]["reason_kinds"],
        serde_json::json!(["links"])
    );
    let text = render::text(&of(Scope::Transitive));
    let line = "quiet (links lib.so.1)  after lib@1 (makedepends)";
    assert!(text.contains(line), "{text}");
}

#[test]
fn new_package_that_links_a_library_affects_the_plan() {
    let lib = package("lib", &[]);
    let mut index = PackageIndex::new();
    index.insert(lib.clone());
    let mut sonames = Sonames::default();
    sonames.add_library("lib", &soname("lib.so.1"));
    sonames.add_link("later", &soname("lib.so.1"));
    let request = PlanRequest {
        sonames: Some(&sonames),
        ..request(vec![lib], Scope::Transitive)
    };
    let (before, footprint) = plan_with_footprint(&index, &request);
    assert_eq!(before.builds.len(), 1);
    let change = index.insert(package("later", &[]));
    assert!(footprint.is_affected_by(&change));
    assert_eq!(plan(&index, &request).builds.len(), 2);
}

/// Returns a library below a cycle, in a new version, and the old packages of all of them.
fn cycle(library: &[&str], kind: &str) -> (PackageIndex, BaseIndex) {
    let lines = |other: &str| format!("{kind} = {other}");
    let index = index([
        package("lib", library),
        package("a", &["depends = lib", &lines("b")]),
        package("b", &["depends = lib.so", &lines("c")]),
        package("c", &["depends = lib", &lines("a")]),
        package("user", &["depends = lib", "makedepends = a"]),
    ]);
    let linked = ["lib.so=1-64"];
    let base = BaseIndex::new(vec![
        based("lib", "1.0-1", &[], &linked),
        based("a", "1-1", &linked, &[]),
        based("b", "1-1", &linked, &[]),
        based("c", "1-1", &["lib", "lib.so=1-64"], &[]),
    ]);
    (index, base)
}

fn planned(index: &PackageIndex, base: &BaseIndex, bootstrap: &[&str], keeps: bool) -> Plan {
    let request = PlanRequest {
        base: Some(base),
        bootstrap: bootstrap.iter().map(|name| name.parse().unwrap()).collect(),
        keeps_sonames: keeps,
        ..request(vec![origin(index, "lib")], Scope::Transitive)
    };
    plan(index, &request)
}

#[test]
fn offers_bootstrap_build_for_uninstallable_cycle() {
    for library in [
        &["pkgver = 2", "provides = lib.so=2-64"][..],
        &["pkgver = 2", "provides = lib.so"],
    ] {
        let (index, base) = cycle(library, "makedepends");
        let plan = planned(&index, &base, &[], false);
        let [needed] = &plan.needs_bootstrap[..] else {
            panic!("{}", format_plan(&plan));
        };
        let choices: Vec<&str> = needed.choices.iter().map(|name| name.as_str()).collect();
        assert_eq!(choices, ["a", "b", "c"]);
        assert!(
            needed.reasons[0].contains("the old b 1-1 needs lib.so=1-64"),
            "{needed:?}"
        );
        let kinds: Vec<ProblemKind> = plan.problems.iter().map(|problem| problem.kind).collect();
        assert!(
            kinds.contains(&ProblemKind::NotInstallable),
            "{}",
            format_plan(&plan)
        );
    }
}

#[test]
fn builds_cycle_with_a_bootstrap_build() {
    let (index, base) = cycle(&["pkgver = 2", "provides = lib.so"], "makedepends");
    insta::assert_snapshot!(format_plan(&planned(&index, &base, &["b"], false)), @r"
    lib@1:  (lib)
    b@1: lib@1 (lib b) without c
    a@1: lib@1 b@1 (lib a)
    c@1: lib@1 a@1 (lib c)
    user@1: lib@1 a@1 (lib user)
    b@2: lib@1 c@1 (lib b)
    ");
    let plan = planned(&index, &base, &["b"], false);
    let text = render::text(&plan);
    assert!(
        text.contains("b (bootstrap build without c)  after lib@1"),
        "{text}"
    );
    assert!(
        text.contains("b is first built without c (makedepends), and again with it"),
        "{text}"
    );
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["builds"][1]["bootstrap"], true);
    assert_eq!(json["builds"][1]["without"], serde_json::json!(["c"]));
    assert!(json.get("needs_bootstrap").is_none());
}

#[test]
fn bootstrap_build_omits_cyclic_checkdepends_and_keeps_other_dependencies() {
    let index = index([
        package(
            "a",
            &[
                "checkdepends = b",
                "makedepends = tool",
                "makedepends = outside",
            ],
        ),
        package("b", &["makedepends = a"]),
        package("tool", &["depends = b"]),
        package("outside", &[]),
    ]);
    let request = PlanRequest {
        bootstrap: vec!["a".parse().unwrap()],
        ..request(
            vec![origin(&index, "a"), origin(&index, "outside")],
            Scope::All,
        )
    };
    let plan = plan(&index, &request);
    insta::assert_snapshot!(format_plan(&plan), @r"
    outside@1:  (outside)
    a@1: outside@1 (a) without b tool
    b@1: a@1 (a b)
    tool@1: b@1 (a b tool)
    a@2: outside@1 tool@1 (a)
    ");
}

#[test]
fn uses_old_packages_when_soname_is_unchanged() {
    for (library, keeps) in [
        // Only rebuilt.
        (
            &["pkgver = 1.0", "pkgrel = 2", "provides = lib.so"][..],
            false,
        ),
        (&["pkgver = 2", "provides = lib.so=1-64"], false),
        (&["pkgver = 2", "provides = lib.so"], true),
    ] {
        let (index, base) = cycle(library, "makedepends");
        let plan = planned(&index, &base, &[], keeps);
        assert!(plan.needs_bootstrap.is_empty(), "{}", format_plan(&plan));
        assert!(plan.problems.is_empty(), "{}", format_plan(&plan));
    }
    // The soname may differ.
    let (index, base) = cycle(&["pkgver = 1.1", "provides = lib.so"], "makedepends");
    let plan = planned(&index, &base, &[], false);
    assert!(plan.needs_bootstrap.is_empty(), "{}", format_plan(&plan));
    let kinds: Vec<ProblemKind> = plan.problems.iter().map(|problem| problem.kind).collect();
    assert!(
        kinds.contains(&ProblemKind::MayNotBeInstallable),
        "{}",
        format_plan(&plan)
    );
}

#[test]
fn offers_no_bootstrap_build_for_run_time_cycle() {
    let (index, base) = cycle(&["pkgver = 2", "provides = lib.so"], "depends");
    let plan = planned(&index, &base, &[], false);
    assert!(
        plan.needs_bootstrap[0].choices.is_empty(),
        "{}",
        format_plan(&plan)
    );
}

#[test]
fn first_stage_sees_required_new_version() {
    // The old `a` is in base, but `b` needs the new one, which is built with `b`.
    let index = index([
        package("a", &["pkgver = 2", "depends = b"]),
        package("b", &["makedepends = a>=2"]),
    ]);
    let base = BaseIndex::new(vec![
        based("a", "1-1", &[], &[]),
        based("b", "1-1", &[], &[]),
    ]);
    let request = PlanRequest {
        base: Some(&base),
        ..request(vec![origin(&index, "a")], Scope::All)
    };
    let plan = plan(&index, &request);
    let text = format_plan(&plan);
    assert!(
        text.contains("b needs a>=2, which only the new a 2-1 satisfies, but it is built later"),
        "{text}"
    );
    assert!(text.ends_with("bootstrap one of b"), "{text}");
}

#[test]
fn rejects_bootstrap_build_outside_a_cycle() {
    let index = index([package("lib", &[]), package("app", &["depends = lib"])]);
    let request = PlanRequest {
        bootstrap: vec!["app".parse().unwrap(), "elsewhere".parse().unwrap()],
        ..request(vec![origin(&index, "lib")], Scope::All)
    };
    let plan = plan(&index, &request);
    let kinds: Vec<ProblemKind> = plan.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::BootstrapNotNeeded; 2]);
    assert!(plan.builds.iter().all(|build| build.bootstrap.is_none()));
}
