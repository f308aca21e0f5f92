//! Property tests with random distributions that have many cycles, against the reference implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use buildbtw_model::{Architecture, Scope};
use buildbtw_planner::{
    BaseIndex, BasePackage, DependencyKind, PackageIndex, Patterns, Plan, PlanRequest, ProblemKind,
    SourcePackage, TimedOut, Until, plan, plan_within,
};
use petgraph::graph::DiGraph;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::reference::{Reference, split};
use crate::support::{check_shape, index, package, request};

/// The random values of one pkgbase; the numbers are converted to names later.
#[derive(Clone, Debug)]
struct Draw {
    version: u8,
    architecture: u8,
    split: bool,
    base_depends: Vec<(Index, u8)>,
    makedepends: Vec<(Index, u8)>,
    checkdepends: Vec<(Index, u8)>,
    second_depends: Vec<(Index, u8)>,
    provides: Vec<(u8, u8)>,
}

fn draw() -> impl Strategy<Value = Draw> {
    let list = |most| prop::collection::vec((any::<Index>(), 0u8..10), 0..most);
    (
        (1u8..4, 0u8..10, any::<bool>()),
        (list(3), list(3), list(2), list(3)),
        prop::collection::vec((0u8..4, 0u8..4), 0..2),
    )
        .prop_map(|(head, lists, provides)| Draw {
            version: head.0,
            architecture: head.1,
            split: head.2,
            base_depends: lists.0,
            makedepends: lists.1,
            checkdepends: lists.2,
            second_depends: lists.3,
            provides,
        })
}

/// Returns a relation to one of the possible names: the two packages of each pkgbase and a few virtual ones.
fn relation(count: usize, index: Index, constraint: u8) -> String {
    let virtual_names = ["virtual0", "virtual1", "liba.so", "libb.so"];
    let at = index.index(count * 2 + virtual_names.len());
    let name = match virtual_names.get(at) {
        Some(name) => (*name).to_owned(),
        None if (at - 4).is_multiple_of(2) => format!("p{}", (at - 4) / 2),
        None => format!("p{}-extra", (at - 4) / 2),
    };
    match constraint {
        0 => format!("{name}>=2"),
        1 => format!("{name}<2"),
        2 => format!("{name}=1-1"),
        _ => name,
    }
}

fn source(count: usize, number: usize, draw: &Draw) -> Arc<SourcePackage> {
    let mut lines = vec![
        format!("pkgver = {}", draw.version),
        "pkgrel = 1".to_owned(),
        match draw.architecture {
            0 => "arch = aarch64".to_owned(),
            1 => "arch = any".to_owned(),
            _ => "arch = x86_64".to_owned(),
        },
    ];
    let mut add = |key: &str, list: &[(Index, u8)]| {
        for &(index, constraint) in list {
            let suffix = if constraint == 9 { "_aarch64" } else { "" };
            let relation = relation(count, index, constraint);
            lines.push(format!("{key}{suffix} = {relation}"));
        }
    };
    add("depends", &draw.base_depends);
    add("makedepends", &draw.makedepends);
    add("checkdepends", &draw.checkdepends);
    let provides = draw.provides.iter().map(|&(name, version)| {
        let name = ["virtual0", "virtual1", "liba.so", "libb.so"][name as usize];
        match version {
            0 => format!("provides = {name}"),
            _ => format!("provides = {name}={version}-1"),
        }
    });
    let provides: Vec<String> = provides.collect();
    lines.extend(provides);
    lines.push(format!("pkgname = p{number}"));
    if draw.split {
        lines.push(format!("pkgname = p{number}-extra"));
        lines.push("depends = ".to_owned());
        lines.push("provides = ".to_owned());
        for &(index, constraint) in &draw.second_depends {
            lines.push(format!("depends = {}", relation(count, index, constraint)));
        }
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    package(&format!("p{number}"), &lines)
}

#[derive(Clone, Debug)]
struct Case {
    packages: Vec<Arc<SourcePackage>>,
    origins: Vec<Arc<SourcePackage>>,
    scope: Scope,
    include: Vec<String>,
    exclude: Vec<String>,
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(draw(), 1..10),
        prop::collection::vec((any::<Index>(), prop::option::of(draw())), 1..3),
        prop::sample::select(Scope::ALL),
        prop::option::weighted(0.2, any::<Index>()),
        prop::option::weighted(0.2, any::<Index>()),
    )
        .prop_map(|(draws, origins, scope, include, exclude)| {
            let count = draws.len();
            let packages: Vec<_> = draws
                .iter()
                .enumerate()
                .map(|(number, draw)| source(count, number, draw))
                .collect();
            let mut chosen: BTreeMap<usize, Arc<SourcePackage>> = BTreeMap::new();
            for (index, changed) in origins {
                let number = index.index(count);
                let origin = match changed {
                    Some(draw) => source(count, number, &draw),
                    None => Arc::clone(&packages[number]),
                };
                chosen.insert(number, origin);
            }
            let name = |index: Index| format!("p{}", index.index(count));
            Case {
                packages,
                origins: chosen.into_values().collect(),
                scope,
                include: include.map(name).into_iter().collect(),
                exclude: exclude.map(name).into_iter().collect(),
            }
        })
}

impl Case {
    fn request(&self, scope: Scope) -> PlanRequest<'static> {
        PlanRequest {
            include: Patterns::new(&self.include).unwrap(),
            exclude: Patterns::new(&self.exclude).unwrap(),
            ..request(self.origins.clone(), scope)
        }
    }

    fn plan(&self, index: &PackageIndex) -> Plan {
        plan(index, &self.request(self.scope))
    }
}

/// Returns the ancestors of each build as pairs of name and stage.
fn ancestors(plan: &Plan) -> Vec<BTreeSet<(String, u32)>> {
    let mut all: Vec<BTreeSet<(String, u32)>> = Vec::new();
    for build in &plan.builds {
        let mut own = BTreeSet::new();
        for need in &build.needs {
            let other = &plan.builds[need.build];
            own.insert((other.pkgbase.to_string(), other.stage));
            own.extend(all[need.build].iter().cloned());
        }
        all.push(own);
    }
    all
}

/// Returns the strongly connected components with several names.
fn loops(edges: &BTreeSet<(String, String)>) -> Vec<BTreeSet<String>> {
    let names: BTreeSet<&str> = edges.iter().flat_map(|(a, b)| [a.as_str(), b]).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let at = |name: &str| names.binary_search(&name).unwrap() as u32;
    let graph: DiGraph<(), ()> = DiGraph::from_edges(edges.iter().map(|(a, b)| (at(a), at(b))));
    let mut found: Vec<BTreeSet<String>> = petgraph::algo::kosaraju_scc(&graph)
        .into_iter()
        .filter(|set| set.len() > 1)
        .map(|set| {
            set.into_iter()
                .map(|v| names[v.index()].to_owned())
                .collect()
        })
        .collect();
    found.sort();
    found
}

fn check(case: &Case, plan: &Plan) {
    check_shape(plan);
    let architecture: Architecture = "x86_64".parse().unwrap();
    let reference = Reference::new(&architecture, &case.packages, &case.origins);
    let members = reference.members(
        case.scope,
        &|name| case.include.iter().any(|pattern| pattern == name),
        &|name| case.exclude.iter().any(|pattern| pattern == name),
    );
    let planned: BTreeSet<String> = plan.builds.iter().map(|b| b.pkgbase.to_string()).collect();
    assert_eq!(
        planned,
        members.keys().cloned().collect(),
        "the rebuild set"
    );

    let mut hard = BTreeSet::new();
    let mut soft = BTreeSet::new();
    let mut environments = BTreeMap::new();
    for name in members.keys() {
        let mut environment = reference.environment(name);
        environment.retain(|other, _| members.contains_key(other));
        hard.extend(
            environment
                .keys()
                .map(|other| (other.clone(), name.clone())),
        );
        let at_run_time = reference.at_run_time(name).into_iter();
        let at_run_time = at_run_time.filter(|other| members.contains_key(other));
        soft.extend(at_run_time.map(|other| (other, name.clone())));
        environments.insert(name.clone(), environment);
    }
    soft.extend(hard.iter().cloned());
    let cycles: Vec<BTreeSet<String>> = plan
        .cycles
        .iter()
        .map(|cycle| cycle.members.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(cycles, loops(&hard), "the cycles");
    let soft_loops = loops(&soft);
    let together = |sets: &[BTreeSet<String>], a: &str, b: &str| {
        sets.iter().any(|set| set.contains(a) && set.contains(b))
    };
    let broken: BTreeSet<(String, String, DependencyKind)> = plan
        .cycles
        .iter()
        .flat_map(|cycle| &cycle.broken)
        .map(|edge| (edge.from.to_string(), edge.to.to_string(), edge.kind))
        .collect();
    let relaxed: BTreeSet<(String, String)> = plan
        .relaxed()
        .iter()
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .collect();
    let last: BTreeMap<String, u32> = plan
        .builds
        .iter()
        .filter(|build| build.is_last_stage)
        .map(|build| (build.pkgbase.to_string(), build.stage))
        .collect();

    for (build, ancestors) in plan.builds.iter().zip(ancestors(plan)) {
        let name = build.pkgbase.to_string();
        let sees = |other: &str| {
            ancestors
                .iter()
                .filter(|(a, _)| a == other)
                .map(|a| a.1)
                .max()
        };
        for (other, &kind) in &environments[&name] {
            let is_broken = broken.contains(&(other.clone(), name.clone(), kind));
            let what = format!("{} sees {other} in stage {:?}", build.label(), sees(other));
            if build.stage == 1 && is_broken {
                assert_eq!(sees(other), None, "{what}");
            } else {
                assert!(sees(other).is_some(), "{what}");
            }
            if !together(&soft_loops, &name, other) {
                assert_eq!(sees(other), Some(last[other]), "{what}");
            }
        }
        if build.stage > 1 {
            assert!(ancestors.contains(&(name.clone(), 1)), "{}", build.label());
        }
        let reason: Vec<String> = plan.reason(build).iter().map(ToString::to_string).collect();
        match members[&name] {
            Some(distance) => {
                assert_eq!(reason.len(), distance as usize + 1, "{reason:?}");
                let first = reason.first().unwrap();
                assert!(
                    case.origins
                        .iter()
                        .any(|origin| origin.pkgbase().as_str() == first)
                );
            }
            None => assert_eq!(reason, std::slice::from_ref(&name)),
        }
    }
    for (from, to, kind) in &broken {
        assert!(
            together(&cycles, from, to),
            "{from} and {to} are in no cycle"
        );
        assert_eq!(environments[to].get(from), Some(kind));
    }
    for (from, to) in &soft {
        if hard.contains(&(from.clone(), to.clone())) {
            continue;
        }
        let is_relaxed = relaxed.contains(&(from.clone(), to.clone()));
        let there = plan
            .builds
            .iter()
            .zip(self::ancestors(plan))
            .filter(|(build, _)| build.pkgbase.as_str() == to)
            .all(|(_, ancestors)| ancestors.iter().any(|(name, _)| name == from));
        assert!(there || is_relaxed, "{to} does not wait for {from}");
        assert!(!is_relaxed || together(&soft_loops, from, to));
    }
    check_findings(&reference, &members, plan);
}

fn check_findings(reference: &Reference, members: &BTreeMap<String, Option<u32>>, plan: &Plan) {
    let mut unresolved = BTreeSet::new();
    let mut outdated = BTreeSet::new();
    for name in members.keys() {
        for (relation, kind) in reference.relations(name) {
            let providers = reference.resolve(&relation);
            if providers.is_empty() {
                unresolved.insert((name.clone(), split(&relation).0.to_owned(), kind));
            }
            if !providers.is_empty() && providers.iter().all(|id| id.2) {
                outdated.insert((name.clone(), relation));
            }
        }
    }
    let listed: BTreeSet<_> = plan
        .unresolved
        .iter()
        .map(|entry| {
            (
                entry.pkgbase.to_string(),
                entry.name.to_string(),
                entry.kind,
            )
        })
        .collect();
    assert_eq!(listed, unresolved);
    let problems = plan.problems.iter();
    let problems = problems.filter(|p| p.kind == ProblemKind::ConstraintNoLongerMet);
    assert_eq!(problems.count(), outdated.len(), "{outdated:?}");
}

/// Returns a base repository with the packages that the sources produce.
fn of_sources(packages: &[Arc<SourcePackage>], architecture: &Architecture) -> BaseIndex {
    let mut all = Vec::new();
    for source in packages {
        for package in source.packages() {
            let architectures = package.architectures();
            if architectures
                .iter()
                .any(|own| own.is_any() || own == architecture)
            {
                all.push(BasePackage {
                    name: package.pkgname().clone(),
                    pkgbase: Some(source.pkgbase().clone()),
                    version: source.version().clone(),
                    depends: package
                        .depends(architecture)
                        .into_iter()
                        .map(Into::into)
                        .collect(),
                    provides: package
                        .provides(architecture)
                        .into_iter()
                        .map(Into::into)
                        .collect(),
                });
            }
        }
    }
    BaseIndex::new(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_reference_planner(case in case()) {
        let index = index(case.packages.iter().cloned());
        check(&case, &case.plan(&index));
    }

    #[test]
    fn does_not_depend_on_insertion_order(case in case(), seed in any::<Index>()) {
        let first = index(case.packages.iter().cloned());
        let mut packages = case.packages.clone();
        let count = packages.len();
        packages.rotate_left(seed.index(count));
        packages.reverse();
        // Packages that are added and removed leave no trace.
        let mut second = index(packages.iter().cloned());
        second.insert(package("p0", &["depends = p1", "pkgname = p0", "pkgname = px"]));
        second.remove(packages[0].pkgbase());
        for package in packages {
            second.insert(package);
        }
        let json = |index| serde_json::to_string(&case.plan(index)).unwrap();
        prop_assert_eq!(json(&first), json(&second));
    }

    #[test]
    fn wider_scopes_include_narrower_ones(case in case()) {
        let index = index(case.packages.iter().cloned());
        let set = |scope| -> BTreeSet<String> {
            let plan = plan(&index, &case.request(scope));
            plan.pkgbases().iter().map(ToString::to_string).collect()
        };
        prop_assert!(set(Scope::Origin).is_subset(&set(Scope::Direct)));
        prop_assert!(set(Scope::Direct).is_subset(&set(Scope::Transitive)));
        prop_assert!(set(Scope::Origin).is_subset(&set(Scope::Soname)));
        prop_assert!(set(Scope::Soname).is_subset(&set(Scope::Transitive)));
        prop_assert!(set(Scope::Transitive).is_subset(&set(Scope::All)));
    }

    #[test]
    fn last_stages_see_their_environment_with_bootstrap_builds(
        case in case(),
        chosen in prop::collection::vec(any::<Index>(), 1..4),
    ) {
        let index = index(case.packages.iter().cloned());
        let members = case.plan(&index).pkgbases().to_vec();
        if members.is_empty() {
            return Ok(());
        }
        let mut request = case.request(case.scope);
        let chosen = chosen.iter().map(|chosen| members[chosen.index(members.len())].clone());
        request.bootstrap = chosen.collect();
        let plan = plan(&index, &request);
        check_shape(&plan);
        prop_assert_eq!(plan.pkgbases(), members);
        let reference = Reference::new(&request.architecture, &case.packages, &case.origins);
        for (build, ancestors) in plan.builds.iter().zip(ancestors(&plan)) {
            let is_wanted = request.bootstrap.contains(&build.pkgbase);
            prop_assert!(is_wanted && build.stage == 1 || build.bootstrap.is_none());
            for other in reference.environment(build.pkgbase.as_str()).into_keys() {
                let is_member = plan.pkgbases().iter().any(|name| name.as_str() == other);
                if is_member && build.is_last_stage {
                    let is_seen = ancestors.iter().any(|(name, _)| *name == other);
                    prop_assert!(is_seen, "{} does not see {other}", build.label());
                }
            }
            if let Some(bootstrap) = &build.bootstrap {
                prop_assert!(!bootstrap.without.is_empty());
            }
        }
    }

    #[test]
    fn everything_is_installable_when_base_matches_the_sources(
        case in case(),
        chosen in prop::collection::vec(any::<Index>(), 0..3),
    ) {
        // The soname that a library gets is unknown without base.
        let names_number = |line: &str| {
            line.starts_with(['d', 'm', 'c']) && line.contains(".so") && line.contains(['<', '=', '>'])
        };
        if case.packages.iter().any(|package| package.as_stored().lines().any(names_number)) {
            return Ok(());
        }
        let index = index(case.packages.iter().cloned());
        let architecture: Architecture = "x86_64".parse().unwrap();
        let base = of_sources(&case.packages, &architecture);
        let origins = case.origins.iter();
        let origins = origins.map(|origin| Arc::clone(index.get(origin.pkgbase()).unwrap()));
        let mut request = request(origins.collect(), case.scope);
        let chosen = chosen.iter().map(|chosen| case.packages[chosen.index(case.packages.len())].pkgbase());
        request.bootstrap = chosen.cloned().collect();
        let without = plan(&index, &request);
        request.base = Some(&base);
        let with = plan(&index, &request);
        prop_assert_eq!(&with.builds, &without.builds);
        prop_assert!(with.needs_bootstrap.is_empty());
        let kinds = with.problems.iter().map(|problem| problem.kind);
        let kinds: Vec<ProblemKind> = kinds.collect();
        prop_assert!(!kinds.contains(&ProblemKind::NotInstallable));
    }

    #[test]
    fn offered_bootstrap_choices_solve_the_problem(case in case()) {
        let index = index(case.packages.iter().cloned());
        let base = of_sources(&case.packages, &"x86_64".parse().unwrap());
        let mut request = case.request(case.scope);
        request.base = Some(&base);
        let first = plan(&index, &request);
        for needed in &first.needs_bootstrap {
            for choice in &needed.choices {
                request.bootstrap = vec![choice.clone()];
                let plan = plan(&index, &request);
                let left = plan.needs_bootstrap.iter();
                let left: BTreeSet<_> = left.flat_map(|needed| needed.members.clone()).collect();
                prop_assert!(needed.members.iter().all(|member| !left.contains(member)));
            }
        }
    }

    #[test]
    fn budget_ends_planning_or_has_no_effect(case in case(), checks in 0u32..200) {
        let index = index(case.packages.iter().cloned());
        let request = case.request(case.scope);
        let left = std::cell::Cell::new(checks);
        let budget = Until(|| {
            let is_over = left.get() == 0;
            left.set(left.get().saturating_sub(1));
            is_over
        });
        match plan_within(&index, &request, &budget) {
            Ok(planned) => prop_assert_eq!(planned, plan(&index, &request)),
            Err(TimedOut) => prop_assert_eq!(left.get(), 0),
        }
    }

    #[test]
    fn change_outside_the_footprint_keeps_the_plan(case in case(), number in any::<Index>(), changed in draw()) {
        let mut index = index(case.packages.iter().cloned());
        let request = case.request(case.scope);
        let (before, footprint) = buildbtw_planner::plan_with_footprint(&index, &request);
        // In half of the cases it is a new package.
        let count = case.packages.len();
        let change = index.insert(source(count, number.index(count * 2), &changed));
        if !footprint.is_affected_by(&change) {
            prop_assert_eq!(before, plan(&index, &request));
        }
    }
}
