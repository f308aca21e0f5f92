//! Helpers that build small distributions in a few lines and check invariants of plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use buildbtw_model::{Pkgbase, Scope};
use buildbtw_planner::{
    BasePackage, PackageIndex, Plan, PlanRequest, SourcePackage, parse_srcinfo, plan,
};

/// Returns a package with lines such as `depends = x`; version 1-1 and x86_64 unless the lines set them.
pub(crate) fn package(pkgbase: &str, lines: &[&str]) -> Arc<SourcePackage> {
    let mut head = format!("pkgbase = {pkgbase}\n");
    let has = |key: &str| lines.iter().any(|line| line.starts_with(key));
    for (key, default) in [("pkgver", "1"), ("pkgrel", "1"), ("arch", "x86_64")] {
        let first_package = lines.iter().position(|line| line.starts_with("pkgname"));
        let base = &lines[..first_package.unwrap_or(lines.len())];
        if !base.iter().any(|line| line.starts_with(key)) {
            head.push_str(&format!("{key} = {default}\n"));
        }
    }
    let mut text = head + &lines.join("\n") + "\n";
    if !has("pkgname") {
        text.push_str(&format!("pkgname = {pkgbase}\n"));
    }
    Arc::new(parse_srcinfo(&text).unwrap_or_else(|error| panic!("{error} in\n{text}")))
}

pub(crate) fn index(packages: impl IntoIterator<Item = Arc<SourcePackage>>) -> PackageIndex {
    let mut index = PackageIndex::new();
    for package in packages {
        index.insert(package);
    }
    index
}

pub(crate) fn origin(index: &PackageIndex, pkgbase: &str) -> Arc<SourcePackage> {
    Arc::clone(index.get(&pkgbase.parse().unwrap()).unwrap())
}

pub(crate) fn request(origins: Vec<Arc<SourcePackage>>, scope: Scope) -> PlanRequest<'static> {
    PlanRequest::new("x86_64".parse().unwrap(), origins, scope)
}

/// Plans the rebuild of origins as they are in the index.
pub(crate) fn plan_of(index: &PackageIndex, origins: &[&str], scope: Scope) -> Plan {
    let origins = origins.iter().map(|name| origin(index, name)).collect();
    plan(index, &request(origins, scope))
}

/// Returns a package of a base repository.
pub(crate) fn based(name: &str, version: &str, depends: &[&str], provides: &[&str]) -> BasePackage {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
    BasePackage {
        name: name.parse().unwrap(),
        pkgbase: None,
        version: version.parse().unwrap(),
        depends: owned(depends),
        provides: owned(provides),
    }
}

/// Formats builds as `name@stage: needs (reason)`, with what they link or omit.
pub(crate) fn format_plan(plan: &Plan) -> String {
    check_shape(plan);
    let mut lines = Vec::new();
    for build in &plan.builds {
        let reason: Vec<&str> = plan
            .reason(build)
            .iter()
            .map(|name| name.as_str())
            .collect();
        let mut line = format!(
            "{}: {} ({})",
            build.label(),
            plan.need_labels(build).join(" "),
            reason.join(" ")
        );
        if let Some(library) = plan.links(build) {
            line.push_str(&format!(" links {library}"));
        }
        if let Some(bootstrap) = &build.bootstrap {
            line.push_str(&format!(" without {}", bootstrap.without.join(" ")));
        }
        lines.push(line);
    }
    for problem in &plan.problems {
        lines.push(format!("problem: {}: {}", problem.pkgbase, problem.message));
    }
    for needed in &plan.needs_bootstrap {
        let choices: Vec<&str> = needed.choices.iter().map(|name| name.as_str()).collect();
        lines.push(format!("bootstrap one of {}", choices.join(" ")));
    }
    lines.join("\n")
}

/// Asserts the invariants of every plan.
pub(crate) fn check_shape(plan: &Plan) {
    let mut stages: BTreeMap<&Pkgbase, Vec<u32>> = BTreeMap::new();
    let mut behind = vec![0; plan.builds.len()];
    for (at, build) in plan.builds.iter().enumerate().rev() {
        assert_eq!(build.priority_s, behind[at] + build.estimate_s);
        for need in &build.needs {
            behind[need.build] = build.priority_s.max(behind[need.build]);
        }
    }
    for (at, build) in plan.builds.iter().enumerate() {
        let mut level = 0;
        for need in &build.needs {
            assert!(need.build < at, "{} comes before a need", build.label());
            level = level.max(plan.builds[need.build].level + 1);
        }
        assert_eq!(build.level, level, "{}", build.label());
        let distinct: BTreeSet<usize> = build.needs.iter().map(|need| need.build).collect();
        assert_eq!(distinct.len(), build.needs.len(), "{}", build.label());
        let reason = plan.reason(build);
        assert_eq!(reason.last(), Some(&&build.pkgbase));
        stages.entry(&build.pkgbase).or_default().push(build.stage);
    }
    for (pkgbase, list) in &stages {
        assert!(matches!(list[..], [1] | [1, 2]), "{pkgbase}: {list:?}");
    }
    for build in &plan.builds {
        let last = stages[&build.pkgbase].len() as u32;
        assert_eq!(build.is_last_stage, build.stage == last);
    }
    let again: BTreeSet<&Pkgbase> = stages
        .iter()
        .filter(|(_, list)| list.len() > 1)
        .map(|(pkgbase, _)| *pkgbase)
        .collect();
    let broken: BTreeSet<&Pkgbase> = plan
        .cycles
        .iter()
        .flat_map(|cycle| cycle.broken.iter().map(|edge| &edge.to))
        .collect();
    assert_eq!(
        again, broken,
        "exactly the builds that omitted a dependency are repeated"
    );
}
