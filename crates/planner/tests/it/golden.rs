//! Snapshots of the plans for small distributions, one per rule.

use buildbtw_model::Scope;
use buildbtw_planner::{InvalidPatterns, Patterns, Plan, PlanRequest, plan, render};

use crate::support::{check_shape, index, origin, package, plan_of, request};

/// Formats builds as `name@stage: needs (reason)`, then the other results of the plan.
fn format_plan(plan: &Plan) -> String {
    check_shape(plan);
    let mut lines = Vec::new();
    for build in &plan.builds {
        let reason: Vec<&str> = plan
            .reason(build)
            .iter()
            .map(|name| name.as_str())
            .collect();
        let needs = plan.need_labels(build).join(" ");
        lines.push(format!("{}: {needs} ({})", build.label(), reason.join(" ")));
    }
    for cycle in &plan.cycles {
        for edge in &cycle.broken {
            lines.push(format!(
                "broken: {} without {} ({})",
                edge.to, edge.from, edge.kind
            ));
        }
    }
    for (from, to) in plan.relaxed() {
        lines.push(format!("relaxed: {to} before {from}"));
    }
    for problem in &plan.problems {
        lines.push(format!("problem: {}: {}", problem.pkgbase, problem.message));
    }
    lines.join("\n")
}

#[test]
fn keeps_json_format_stable() {
    let index = index([
        package("a", &["depends = b>=1", "makedepends = glibc"]),
        package("b", &["makedepends = a"]),
        package("c", &["depends = a", "depends = libm"]),
    ]);
    let plan = plan_of(&index, &["b"], Scope::All);
    check_shape(&plan);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
    insta::assert_snapshot!(render::text(&plan));
    insta::assert_snapshot!(render::dot(&plan));
}

#[test]
fn plans_each_scope() {
    let index = index([
        package("lib", &["provides = lib.so=1-64"]),
        package("direct", &["depends = lib"]),
        package("linked", &["depends = lib.so"]),
        package("far", &["depends = direct"]),
        package("built-with", &["makedepends = lib"]),
        package("checked-with", &["checkdepends = far"]),
        package("on-built-with", &["depends = built-with"]),
        package("unrelated", &["depends = glibc"]),
    ]);
    let mut text = String::new();
    for &scope in Scope::ALL {
        text.push_str(&format!(
            "{scope}\n{}\n\n",
            format_plan(&plan_of(&index, &["lib"], scope))
        ));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn plans_with_providers() {
    let index = index([
        package("real", &["pkgver = 2"]),
        package("old-compat", &["provides = real=1"]),
        package("vague", &["provides = real", "provides = virtual"]),
        package("exact", &["provides = virtual=3"]),
        package("by-name", &["depends = real"]),
        package("by-compat", &["depends = real<2"]),
        package("by-either", &["depends = virtual"]),
        package("by-version", &["depends = virtual>=2"]),
        package("by-none", &["depends = real>2"]),
    ]);
    let mut text = String::new();
    for name in ["real", "old-compat", "vague", "exact"] {
        text.push_str(&format_plan(&plan_of(&index, &[name], Scope::Direct)));
        text.push_str("\n\n");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn split_package_spreads_only_through_reached_packages() {
    let index = index([
        package("lib", &[]),
        package(
            "suite",
            &[
                "pkgname = suite-gui",
                "depends = lib",
                "pkgname = suite-data",
            ],
        ),
        package("uses-gui", &["depends = suite-gui"]),
        package("uses-data", &["depends = suite-data"]),
    ]);
    insta::assert_snapshot!(format_plan(&plan_of(&index, &["lib"], Scope::Transitive)));
}

#[test]
fn keeps_order_through_packages_outside_the_set() {
    let index = index([
        package("lib", &["provides = lib.so"]),
        package("tool", &["depends = script"]),
        package("script", &["depends = helper"]),
        package("helper", &["depends = lib"]),
        package("app", &["depends = lib.so", "makedepends = tool"]),
        package("plugin", &["depends = lib", "makedepends = app"]),
    ]);
    insta::assert_snapshot!(format_plan(&plan_of(&index, &["lib"], Scope::Direct)));
}

#[test]
fn breaks_cycles_at_the_weakest_edge() {
    let cycle = |kind: &str| {
        let needs = format!("{kind} = b");
        let index = index([
            package("a", &[&needs]),
            package("b", &["depends = a"]),
            package("user", &["depends = a"]),
        ]);
        format_plan(&plan_of(&index, &["a", "b"], Scope::All))
    };
    let kinds = ["checkdepends", "makedepends", "depends"];
    insta::assert_snapshot!(kinds.map(cycle).join("\n\n"));
}

#[test]
fn relaxes_run_time_dependencies_first() {
    let index = index([
        package(
            "base",
            &[
                "pkgname = base",
                "pkgname = base-docs",
                "depends = generator",
            ],
        ),
        package("generator", &["makedepends = base"]),
    ]);
    insta::assert_snapshot!(format_plan(&plan_of(&index, &["base"], Scope::All)));
}

#[test]
fn rebuilds_and_reports_dependents_of_the_old_version() {
    let index = index([
        package("lib", &["provides = lib.so=1-64", "provides = feature"]),
        package("pinned", &["depends = lib.so=1-64"]),
        package("loose", &["depends = lib.so"]),
        package("dropped", &["depends = feature"]),
        package("waiting", &["depends = lib.so=2-64"]),
    ]);
    let new = package(
        "lib",
        &[
            "pkgver = 2",
            "provides = lib.so=2-64",
            "makedepends = extra",
        ],
    );
    let plan = plan(&index, &request(vec![new], Scope::Transitive));
    insta::assert_snapshot!(format_plan(&plan));
}

#[test]
fn plans_each_architecture() {
    let index = index([
        package("lib", &["arch = x86_64", "arch = aarch64"]),
        package("data", &["arch = any", "depends = lib"]),
        package("elsewhere", &["arch = aarch64", "depends = lib"]),
        package(
            "sometimes",
            &["arch = x86_64", "arch = aarch64", "depends_aarch64 = lib"],
        ),
    ]);
    let on = |name: &str| {
        let request = PlanRequest {
            architecture: name.parse().unwrap(),
            ..request(vec![origin(&index, "lib")], Scope::Transitive)
        };
        format_plan(&plan(&index, &request))
    };
    insta::assert_snapshot!(["x86_64", "aarch64", "riscv64"].map(on).join("\n\n"));
}

#[test]
fn include_and_exclude_patterns_change_the_set() {
    let index = index([
        package("lib", &[]),
        package("mid", &["depends = lib"]),
        package("top", &["depends = mid"]),
        package("other", &["makedepends = lib"]),
    ]);
    let request = PlanRequest {
        include: Patterns::new(&["o*", "top"]).unwrap(),
        exclude: Patterns::new(&["mid"]).unwrap(),
        ..request(vec![origin(&index, "lib")], Scope::Transitive)
    };
    insta::assert_snapshot!(format_plan(&plan(&index, &request)));
    assert!(Patterns::new(&["[a"]).is_err());
}

#[test]
fn limits_number_of_patterns() {
    assert!(Patterns::new(&vec!["a*"; Patterns::MAX_COUNT]).is_ok());
    let count = Patterns::MAX_COUNT + 1;
    let error = Patterns::new(&vec!["a*"; count]).unwrap_err();
    assert_eq!(error, InvalidPatterns::TooMany { count });
    let longest = "a".repeat(Patterns::MAX_BYTES);
    assert!(Patterns::new(&[&longest]).is_ok());
    let error = Patterns::new(&["a*", &format!("{longest}a")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pattern 2 has 257 bytes; at most 256 are allowed"
    );
}

#[test]
fn rebuilds_dependents_of_origin_that_stops_providing() {
    let index = index([
        package("pa", &["provides = virt"]),
        package("pb", &["provides = virt"]),
        package("user", &["depends = virt"]),
    ]);
    let request = request(vec![package("pa", &[])], Scope::Transitive);
    // It is rebuilt because it may have used the old provider, but it need not wait: its dependency is satisfied.
    insta::assert_snapshot!(format_plan(&plan(&index, &request)), @r"
    pa@1:  (pa)
    user@1:  (pa user)
    ");
}

#[test]
fn only_equals_sign_provides_a_version() {
    let index = index([
        package("a", &["provides = foo>=1"]),
        package("exact", &["depends = foo=1"]),
        package("at-least", &["depends = foo>=1"]),
        package("any-version", &["depends = foo"]),
    ]);
    insta::assert_snapshot!(format_plan(&plan_of(&index, &["a"], Scope::Transitive)), @r"
    a@1:  (a)
    any-version@1: a@1 (a any-version)
    ");
}

#[test]
fn unversioned_library_satisfies_versioned_requirement() {
    let index = index([
        package("libquux", &["pkgver = 2.0", "provides = libquux.so"]),
        package("app-new", &["depends = libquux.so>=2"]),
        package("app-other", &["depends = libquux.so.1"]),
        package("tool-versioned", &["provides = tool"]),
        package("uses-tool", &["depends = tool=1"]),
    ]);
    for scope in [Scope::Direct, Scope::Soname, Scope::Transitive, Scope::All] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(format_plan(&plan_of(&index, &["libquux"], scope)), @r"
            libquux@1:  (libquux)
            app-new@1: libquux@1 (libquux app-new)
            ");
        }
    }
    let of_tool = plan_of(&index, &["tool-versioned"], Scope::All);
    assert_eq!(of_tool.builds.len(), 1, "only libraries are numbered");
}

#[test]
fn builds_origin_before_its_dependents_in_a_cycle() {
    let index = index([
        package("a", &["makedepends = z"]),
        package("m", &["makedepends = a", "makedepends = z"]),
        package("z", &["makedepends = m"]),
    ]);
    for origin in ["a", "m", "z"] {
        let plan = plan_of(&index, &[origin], Scope::All);
        check_shape(&plan);
        let place = |name: &str| {
            let mut builds = plan.builds.iter();
            builds
                .position(|build| build.pkgbase.as_str() == name)
                .unwrap()
        };
        let users = match origin {
            "a" => &["m"][..],
            "m" => &["z"],
            _ => &["a", "m"],
        };
        for user in users {
            assert!(place(origin) < place(user), "{}", format_plan(&plan));
        }
        assert_eq!(plan.builds.len(), 4, "{}", format_plan(&plan));
    }
}

#[test]
fn does_not_count_prerequisites_of_an_origin_as_dependents() {
    // `first` must come before the origin, and either of the others could be built too early.
    let index = index([
        package("origin", &["depends = first"]),
        package("first", &["makedepends = user"]),
        package("user", &["makedepends = origin"]),
        package("more", &["makedepends = user"]),
        package("most", &["makedepends = user", "depends = origin"]),
        package(
            "origin-tests",
            &["makedepends = more", "makedepends = most"],
        ),
    ]);
    let plan = plan_of(&index, &["origin"], Scope::All);
    let text = format_plan(&plan);
    assert!(
        text.starts_with("first@1:  (origin user first)\norigin@1: first@1"),
        "{text}"
    );
    assert!(
        text.contains("broken: first without user (makedepends)"),
        "{text}"
    );
}
