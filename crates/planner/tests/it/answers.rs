//! What a plan answers about each package: which dependency pulls it in, from which version to which, and what breaks
//! because it is not rebuilt.

use buildbtw_model::api::{PlanFailure, PlanReuse};
use buildbtw_model::{PackageVersion, Pkgbase, Pkgname, Scope};
use buildbtw_planner::{
    BaseIndex, BuildFacts, PackageIndex, Patterns, Plan, PlanRequest, ProblemKind, Soname, Sonames,
    plan, render,
};

use crate::support::{based, index, origin, package, request};

/// Returns the messages of a kind of problem, with their packages.
fn problems(plan: &Plan, kind: ProblemKind) -> Vec<String> {
    let problems = plan.problems.iter();
    problems
        .filter(|problem| problem.kind == kind)
        .map(|problem| format!("{}: {}", problem.pkgbase, problem.message))
        .collect()
}

/// Plans a rebuild over base repositories, with the versions of the builds.
fn planned(index: &PackageIndex, base: &[(&str, &str)], bump: bool) -> Plan {
    let origins = vec![origin(index, "lib")];
    let mut plan = plan(index, &request(origins.clone(), Scope::All));
    let in_base = |_: &Pkgbase, name: &Pkgname| -> Vec<PackageVersion> {
        let found = base.iter().filter(|(known, _)| *known == name.as_str());
        found.map(|(_, version)| version.parse().unwrap()).collect()
    };
    plan.expect_versions(index, &origins, &in_base, bump);
    plan
}

#[test]
fn names_kind_of_every_dependency() {
    let index = index([
        package("lib", &[]),
        package("app", &["pkgname = app", "depends = lib"]),
        package("tool", &["makedepends = app"]),
        package("suite", &["checkdepends = tool", "depends = lib"]),
        package("cycle", &["depends = lib", "makedepends = cycle-2"]),
        package("cycle-2", &["depends = cycle"]),
    ]);
    let plan = plan(&index, &request(vec![origin(&index, "lib")], Scope::All));
    let lines: Vec<String> = plan
        .builds
        .iter()
        .map(|build| {
            let needs = plan.need_labels(build).into_iter();
            let needs = needs.zip(plan.need_kinds(build));
            let needs: Vec<_> = needs
                .map(|(label, kind)| format!("{label} {kind}"))
                .collect();
            let reason = plan.reason_kinds(build).join(" ");
            format!("{}: {} ({reason})", build.label(), needs.join(", "))
        })
        .collect();
    let has = |line: &str| assert!(lines.iter().any(|other| other == line), "{lines:#?}");
    has("lib@1:  ()");
    has("app@1: lib@1 depends (depends)");
    has("tool@1: app@1 makedepends (depends makedepends)");
    let suite = lines
        .iter()
        .find(|line| line.starts_with("suite@1"))
        .unwrap();
    assert!(suite.contains("tool@1 checkdepends"), "{suite}");
    // Its own dependency is the shortest reason.
    assert!(suite.ends_with("(depends)"), "{suite}");
    let text = render::text(&plan);
    assert!(text.contains("tool  after app@1 (makedepends)"), "{text}");
    let json = serde_json::to_value(&plan).unwrap();
    let tool = json["builds"].as_array().unwrap();
    let tool = tool
        .iter()
        .find(|build| build["pkgbase"] == "tool")
        .unwrap();
    assert_eq!(tool["needs_kinds"], serde_json::json!(["makedepends"]));
    let reason = serde_json::json!(["depends", "makedepends"]);
    assert_eq!(tool["reason_kinds"], reason);
}

#[test]
fn shows_old_and_new_version() {
    let index = index([
        package("lib", &["pkgver = 2"]),
        package("app", &["depends = lib"]),
        package("new", &["depends = lib"]),
    ]);
    let plan = planned(&index, &[("lib", "1-3"), ("app", "1-1.4")], true);
    let text = render::text(&plan);
    for line in [
        "  lib 1-3 -> 2-1\n",
        "  app 1-1.4 -> 1-1.5  after",
        "  new 1-1.1  after",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let json = serde_json::to_value(&plan).unwrap();
    let old: Vec<_> = json["builds"].as_array().unwrap().iter().collect();
    let old: Vec<_> = old
        .iter()
        .map(|build| build["old_version"].as_str())
        .collect();
    assert_eq!(old, [Some("1-3"), Some("1-1.4"), None]);
}

#[test]
fn reports_origin_with_the_version_of_base() {
    let index = index([package("lib", &[]), package("app", &["depends = lib"])]);
    let of = |base: &str, bump| {
        let plan = planned(&index, &[("lib", base), ("app", "1-1")], bump);
        problems(&plan, ProblemKind::SameAsBase)
    };
    assert_eq!(
        of("1-1", true),
        ["lib: 1-1 equals the version in the base repositories: it is built as 1-1.1"]
    );
    assert_eq!(
        of("1-1", false),
        [
            "lib: 1-1 equals the version in the base repositories: pacman does not install its build \
             over it"
        ]
    );
    // Other versions are not reported, nor are rebuilt packages, which always have the version of base.
    for base in ["0-1", "1-2"] {
        assert_eq!(of(base, true), [""; 0], "{base}");
    }
}

/// Returns a library in a new version, and two packages that need the old one.
fn library(lines: &[&str]) -> (PackageIndex, BaseIndex) {
    let index = index([
        package("lib", lines),
        package("app", &["depends = lib"]),
        package("tool", &["depends = lib"]),
    ]);
    let linked = ["lib", "lib.so=1-64"];
    let base = BaseIndex::new(vec![
        based("lib", "1.0-1", &[], &["lib.so=1-64"]),
        based("app", "1-1", &linked, &[]),
        based("tool", "1-1", &linked, &[]),
        based("other", "1-1", &["lib"], &[]),
    ]);
    (index, base)
}

fn kept(index: &PackageIndex, base: &BaseIndex, scope: Scope, exclude: &[&str]) -> Vec<String> {
    let request = PlanRequest {
        base: Some(base),
        exclude: Patterns::new(exclude).unwrap(),
        ..request(vec![origin(index, "lib")], scope)
    };
    problems(&plan(index, &request), ProblemKind::KeepsOldSoname)
}

#[test]
fn reports_excluded_package_that_needs_the_old_soname() {
    let (index, base) = library(&["pkgver = 2.0", "provides = lib.so=2-64"]);
    let breaks = "it breaks when lib 2.0-1 is installed";
    for scope in [Scope::Direct, Scope::Transitive, Scope::All] {
        assert_eq!(
            kept(&index, &base, scope, &["app"]),
            [format!(
                "app: excluded by a pattern, and needs lib.so.1 of lib 1.0-1: {breaks}"
            )],
            "{scope}"
        );
        assert_eq!(kept(&index, &base, scope, &[]), [""; 0], "{scope}");
    }
    // The scope leaves out both.
    assert_eq!(
        kept(&index, &base, Scope::Origin, &["app"]),
        [
            format!("app: excluded by a pattern, and needs lib.so.1 of lib 1.0-1: {breaks}"),
            format!(
                "tool: not rebuilt with scope origin, and needs lib.so.1 of lib 1.0-1: {breaks}"
            ),
        ]
    );
}

#[test]
fn expects_new_soname_of_a_bare_provision_by_the_version() {
    for (version, is_expected) in [("2.0", true), ("1.1", false)] {
        let (index, base) = library(&[&format!("pkgver = {version}"), "provides = lib.so"]);
        let found = kept(&index, &base, Scope::All, &["app"]);
        let expected = "app: excluded by a pattern, and needs lib.so.1 of lib 1.0-1: it breaks if lib 2.0-1 \
                        changes the soname, as its version suggests";
        let expected: &[&str] = if is_expected { &[expected] } else { &[] };
        assert_eq!(found, expected, "{version}");
    }
    // The request declares that sonames stay.
    let (index, base) = library(&["pkgver = 2.0", "provides = lib.so"]);
    let request = PlanRequest {
        base: Some(&base),
        keeps_sonames: true,
        ..request(vec![origin(&index, "lib")], Scope::Origin)
    };
    let plan = plan(&index, &request);
    assert_eq!(problems(&plan, ProblemKind::KeepsOldSoname), [""; 0]);
}

#[test]
fn reports_nothing_where_the_soname_stays_or_a_compatibility_package_has_it() {
    let (unchanged, base) = library(&["pkgver = 2.0", "provides = lib.so=1-64"]);
    assert_eq!(kept(&unchanged, &base, Scope::Origin, &[]), [""; 0]);
    let (changed, base) = library(&["pkgver = 2.0", "provides = lib.so=2-64"]);
    let mut packages = base.packages().to_vec();
    packages.push(based("lib1", "1.0-1", &[], &["lib.so=1-64"]));
    let base = BaseIndex::new(packages);
    assert_eq!(kept(&changed, &base, Scope::Origin, &[]), [""; 0]);
}

#[test]
fn reports_excluded_sources_and_links_without_declaration() {
    // Without base, the default branch is the old version.
    let index = index([
        package("lib", &["provides = lib.so=1-64"]),
        package("pinned", &["depends = lib.so=1-64"]),
        package("quiet", &[]),
    ]);
    let soname = Soname {
        name: "lib.so.1".into(),
        is_64_bit: true,
    };
    let mut sonames = Sonames::default();
    sonames.add_library("lib", &soname);
    sonames.add_link("quiet", &soname);
    let new = package("lib", &["pkgver = 2", "provides = lib.so=2-64"]);
    let request = PlanRequest {
        sonames: Some(&sonames),
        exclude: Patterns::new(&["pinned", "quiet"]).unwrap(),
        ..request(vec![new], Scope::Transitive)
    };
    let plan = plan(&index, &request);
    let found = problems(&plan, ProblemKind::KeepsOldSoname);
    let rest =
        "excluded by a pattern, and needs lib.so.1 of lib 1-1: it breaks when lib 2-1 is installed";
    assert_eq!(found, [format!("pinned: {rest}"), format!("quiet: {rest}")]);
}

#[test]
fn counts_many_packages_that_need_the_old_soname() {
    let (index, base) = library(&["pkgver = 2.0", "provides = lib.so=2-64"]);
    let mut packages = base.packages().to_vec();
    for number in 0..30 {
        packages.push(based(
            &format!("user-{number:02}"),
            "1-1",
            &["lib.so=1-64"],
            &[],
        ));
    }
    let base = BaseIndex::new(packages);
    let found = kept(&index, &base, Scope::Origin, &[]);
    assert_eq!(found.len(), 20, "{found:#?}");
    let counted = found
        .iter()
        .filter(|text| text.ends_with("(and 12 similar problems)"));
    assert_eq!(counted.count(), 1, "{found:#?}");
}

#[test]
fn shows_what_is_reused_and_what_failed() {
    let index = index([package("lib", &[]), package("app", &["depends = lib"])]);
    let mut plan = planned(&index, &[("lib", "0-1")], true);
    let attempt = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
    let reuse = PlanReuse {
        attempt,
        namespace: "earlier".parse().unwrap(),
        version: "1-1.7".parse().unwrap(),
    };
    let failure = PlanFailure {
        attempt,
        namespace: "other".parse().unwrap(),
        message: "build() failed".to_owned(),
        at: "2026-11-29T10:20:00Z".parse().unwrap(),
    };
    plan.add_facts(vec![
        BuildFacts {
            reuse: Some(reuse),
            last_failure: None,
        },
        BuildFacts {
            reuse: None,
            last_failure: Some(failure),
        },
    ]);
    let text = render::text(&plan);
    for part in [
        "  lib 0-1 -> 1-1.7  reused from earlier\n",
        "    last failed in other, 2026-11-29 10:20 UTC: build() failed\n",
        "\nreused: 1 build\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["builds"][0]["reuse"]["namespace"], "earlier");
    assert_eq!(json["builds"][0]["version"], "1-1.7");
    assert_eq!(
        json["builds"][1]["last_failure"]["message"],
        "build() failed"
    );
    assert_eq!(json["builds"][1].get("reuse"), None);
}

/// Returns a plan of many packages, each of which has a dependency that is missing.
fn large() -> Plan {
    let users = (0..200).map(|number| {
        let missing = format!("makedepends = missing-{number}");
        package(&format!("user-{number:03}"), &["depends = lib", &missing])
    });
    let many = (0..9).map(|number| package(&format!("part-{number}"), &["depends = lib"]));
    let parts: Vec<String> = (0..9)
        .map(|number| format!("makedepends = part-{number}"))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let whole = package("whole", &parts);
    let index = index(users.chain(many).chain([package("lib", &[]), whole]));
    plan(&index, &request(vec![origin(&index, "lib")], Scope::All))
}

#[test]
fn text_fits_lines_and_counts_what_is_missing() {
    let plan = large();
    assert_eq!(plan.builds.len(), 211);
    for lines in [8, 12, 23, 60] {
        let text = render::text_within(&plan, render::Extent::Lines(lines));
        let count = text.lines().count();
        assert!(count <= lines.max(10), "{count} of {lines} lines\n{text}");
        let shown = text
            .lines()
            .filter(|line| line.starts_with("  lib") || line.starts_with("  user-"));
        let shown = shown.filter(|line| !line.contains(": ")).count();
        let shown = shown
            + text
                .lines()
                .filter(|line| line.starts_with("  part-"))
                .count();
        let missing = format!("  and {} more\n", 211 - shown);
        assert!(text.contains(&missing), "{missing} is not in\n{text}");
        assert!(text.contains(" more lines\n"), "{text}");
        assert!(
            text.contains("\n\n211 builds of 211 packages in 3 levels"),
            "{text}"
        );
    }
    let all = render::text_within(&plan, render::Extent::All);
    assert_eq!(all, render::text(&plan));
    assert!(!all.contains(" more"), "{all}");
}

#[test]
fn cut_text_names_the_first_needs() {
    let rows = render::text_within(&large(), render::Extent::Rows(1_000));
    let line = rows
        .lines()
        .find(|line| line.starts_with("  whole"))
        .unwrap();
    assert!(
        line.ends_with("part-3@1 (makedepends) and 5 more"),
        "{line}"
    );
}
