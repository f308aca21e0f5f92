//! Benchmarks of loading an index and of planning, at the size of whole distributions.
//!
//! The distributions are real ones, copied until they are large enough: each copy has its own names, and every tenth
//! package of a copy also depends on a package of the previous copy, so that the copies form one graph. If the real
//! ones are not available, a synthetic one is used.
//!
//! `cargo bench -p buildbtw-planner`; add `-- --sample-count 20` for a quick run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark aborts on errors and prints its results"
)]

use std::sync::Arc;

use buildbtw_model::Scope;
use buildbtw_planner::simulate::{Policy, simulate};
use buildbtw_planner::{
    BaseIndex, BasePackage, PackageIndex, Plan, PlanRequest, SourcePackage, parse_srcinfo, plan,
    plan_with_footprint,
};
use petgraph::graph::{DiGraph, NodeIndex};

#[path = "../tests/it/generate.rs"]
mod generate;

const SIZES: [usize; 3] = [15_000, 35_000, 100_000];

fn main() {
    if std::env::args().nth(1).as_deref() == Some(PRINT_STORED) {
        for package in packages(35_000) {
            print!("{}\0", package.as_stored());
        }
        return;
    }
    // With the name of a benchmark, only that one runs.
    if std::env::args()
        .skip(1)
        .all(|argument| argument.starts_with('-'))
    {
        memory();
        cpu_times();
        ratios();
    }
    divan::main();
}

fn packages(size: usize) -> Vec<Arc<SourcePackage>> {
    let parse = |text: String| Arc::new(parse_srcinfo(&text).unwrap());
    generate::texts(size).into_iter().map(parse).collect()
}

fn index(packages: &[Arc<SourcePackage>]) -> PackageIndex {
    let mut index = PackageIndex::new();
    for package in packages {
        index.insert(Arc::clone(package));
    }
    index
}

fn request(origin: &Arc<SourcePackage>, scope: Scope) -> PlanRequest<'static> {
    PlanRequest::new("x86_64".parse().unwrap(), vec![Arc::clone(origin)], scope)
}

/// Returns the plan with the most builds among those of packages that are known to have many dependents.
fn worst<'p>(
    index: &PackageIndex,
    packages: &'p [Arc<SourcePackage>],
) -> (&'p Arc<SourcePackage>, Plan) {
    let candidates = packages.iter().filter(|package| {
        let name = package.pkgbase().as_str();
        ["mingw-w64-headers", "mingw-w64-zlib", "synthetic-0"].contains(&name)
    });
    candidates
        .map(|origin| (origin, plan(index, &request(origin, Scope::All))))
        .max_by_key(|(_, plan)| plan.builds.len())
        .unwrap()
}

/// Returns the resident memory of this process in MB.
fn resident_mb() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Measures the memory of an index. Another process creates the stored forms, so that this one has no freed memory to
/// reuse.
fn memory() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg(PRINT_STORED)
        .output()
        .unwrap();
    let stored = String::from_utf8(child.stdout).unwrap();
    let before = resident_mb();
    let mut index = PackageIndex::new();
    for text in stored.split_terminator('\0') {
        index.insert(Arc::new(SourcePackage::from_stored(text).unwrap()));
    }
    let used = resident_mb().saturating_sub(before);
    println!("memory of an index of {} packages: {used} MB", index.len());
}

/// The argument with which this program prints the stored forms of 35,000 packages.
const PRINT_STORED: &str = "print-stored";

/// Returns the CPU time of this thread in milliseconds, the only fair measure on a busy machine.
fn cpu_ms() -> f64 {
    let text = fs_err::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e6
}

fn minimum_of<T>(runs: usize, label: &str, mut run: impl FnMut() -> T) {
    let measured = (0..runs).map(|_| {
        let (start, before) = (std::time::Instant::now(), cpu_ms());
        let result = run();
        let used = (start.elapsed().as_secs_f64() * 1e3, cpu_ms() - before);
        drop(result);
        used
    });
    let (time, cpu) = measured.fold((f64::INFINITY, f64::INFINITY), |least, used| {
        (least.0.min(used.0), least.1.min(used.1))
    });
    // The CPU time has a resolution of a few milliseconds.
    println!("fastest of {runs}: {label}: {time:.2} ms, {cpu:.0} ms of CPU time");
}

fn cpu_times() {
    for size in SIZES {
        let packages = packages(size);
        let stored: Vec<&str> = packages.iter().map(|package| package.as_stored()).collect();
        minimum_of(3, &format!("load an index of {size}"), || {
            let mut index = PackageIndex::new();
            for &text in &stored {
                index.insert(Arc::new(SourcePackage::from_stored(text).unwrap()));
            }
            index
        });
        let mut index = index(&packages);
        let (origin, worst) = worst(&index, &packages);
        let label = format!("plan {} builds of {size}", worst.builds.len());
        minimum_of(5, &label, || plan(&index, &request(origin, Scope::All)));
        replan(&mut index, &packages);
    }
}

/// Replaces one package and plans again: for a rebuild set of median size, and for one of the 90th percentile.
fn replan(index: &mut PackageIndex, packages: &[Arc<SourcePackage>]) {
    let mut origins: Vec<(usize, &Arc<SourcePackage>)> = packages
        .iter()
        .step_by(packages.len() / 200)
        .map(|origin| {
            (
                plan(index, &request(origin, Scope::Transitive))
                    .builds
                    .len(),
                origin,
            )
        })
        .filter(|(builds, _)| *builds > 1)
        .collect();
    origins.sort_by_key(|(builds, _)| *builds);
    for percent in [50, 90] {
        let Some(&(builds, origin)) = origins.get(origins.len() * percent / 100) else {
            continue;
        };
        let request = request(origin, Scope::Transitive);
        let (first, footprint) = plan_with_footprint(index, &request);
        let last = first.builds.last().unwrap();
        let member = Arc::clone(index.get(&last.pkgbase).unwrap());
        let stored = member.as_stored().replacen("\nn ", "\nd glibc\nn ", 1);
        let changed = Arc::new(SourcePackage::from_stored(stored).unwrap());
        let label =
            format!("replace a package and replan {builds} builds ({percent}th percentile)");
        let mut flip = false;
        minimum_of(10, &label, || {
            flip = !flip;
            let next = if flip { &changed } else { &member };
            let change = index.insert(Arc::clone(next));
            assert!(footprint.is_affected_by(&change));
            plan_with_footprint(index, &request)
        });
    }
}

/// Returns realistic durations: most builds take a minute or two, few take hours (log-normal with a median of 90 s and
/// sigma 1.2, from 12 uniform numbers each).
fn durations(count: usize) -> Vec<u64> {
    let mut state = 42u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            let normal: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            ((90f64.ln() + 1.2 * normal).exp() as u64).max(1)
        })
        .collect()
}

/// Returns the builds of a plan as a graph, with edges to those that a build needs.
fn graph(plan: &Plan) -> DiGraph<(), ()> {
    let mut graph = DiGraph::new();
    for build in &plan.builds {
        let node = graph.add_node(());
        for need in &build.needs {
            graph.add_edge(node, NodeIndex::new(need.build), ());
        }
    }
    graph
}

fn ratios() {
    for size in [15_000, 35_000] {
        let packages = packages(size);
        let index = index(&packages);
        for scope in [Scope::Transitive, Scope::All] {
            let origin = Arc::clone(worst(&index, &packages).0);
            let plan = plan(&index, &request(&origin, scope));
            let durations = durations(plan.builds.len());
            let graph = graph(&plan);
            for workers in [8, 64, 512] {
                let duration = |build: NodeIndex| durations[build.index()];
                let ratio = |policy| simulate(&graph, duration, workers, policy).unwrap().ratio();
                println!(
                    "{} builds ({scope}, of {size} packages), {workers} workers: critical path {:.3}, first in first out {:.3}, random {:.3}",
                    plan.builds.len(),
                    ratio(Policy::CriticalPath),
                    ratio(Policy::Fifo),
                    ratio(Policy::Random(42)),
                );
            }
        }
    }
}

#[divan::bench(args = [15_000, 35_000], sample_count = 10, sample_size = 1)]
fn load_index(bencher: divan::Bencher<'_, '_>, size: usize) {
    let stored: Vec<String> = packages(size)
        .iter()
        .map(|package| package.as_stored().to_owned())
        .collect();
    bencher.bench_local(|| {
        let mut index = PackageIndex::new();
        for text in &stored {
            index.insert(Arc::new(SourcePackage::from_stored(text.as_str()).unwrap()));
        }
        index
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn parse_1000_srcinfo(bencher: divan::Bencher<'_, '_>) {
    let texts = generate::texts(1_000);
    bencher.bench_local(|| -> usize {
        let parsed = texts.iter().map(|text| parse_srcinfo(text).unwrap());
        parsed.map(|package| package.pkgnames().len()).sum()
    });
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn plan_worst_case(bencher: divan::Bencher<'_, '_>, size: usize) {
    let packages = packages(size);
    let index = index(&packages);
    let (origin, plan) = worst(&index, &packages);
    println!(
        "{size}: {} builds, {} packages",
        plan.builds.len(),
        plan.pkgbases().len()
    );
    let request = request(origin, Scope::All);
    bencher.bench_local(|| buildbtw_planner::plan(&index, &request));
}

/// Plans a large cycle with old packages in base. Every twentieth of those needs the library whose soname changes, so
/// that the environments of all builds are checked and some members are tried as bootstrap builds.
#[divan::bench(args = [600, 5_600], sample_count = 5, sample_size = 1)]
fn plan_with_a_large_cycle_and_base(bencher: divan::Bencher<'_, '_>, cycle_size: usize) {
    let texts = generate::cyclic(34_000, cycle_size);
    let parse = |text: &String| Arc::new(parse_srcinfo(text).unwrap());
    let packages: Vec<_> = texts.iter().map(parse).collect();
    let architecture = "x86_64".parse().unwrap();
    let old = packages.iter().enumerate().map(|(at, source)| {
        let depends = source
            .packages()
            .flat_map(|package| package.depends(&architecture));
        let mut depends: Vec<Box<str>> = depends.map(Into::into).collect();
        if at % 20 == 1 {
            depends.push("lib0.so=1-64".into());
        }
        BasePackage {
            name: source.pkgnames()[0].clone(),
            pkgbase: None,
            version: source.version().clone(),
            depends,
            provides: if at == 0 {
                vec!["lib0.so=1-64".into()]
            } else {
                Vec::new()
            },
        }
    });
    let base = BaseIndex::new(old.collect());
    let index = index(&packages);
    let changed = texts[0].replace("pkgver = 1", "pkgver = 2");
    let changed = changed.replace("\npkgname", "\tprovides = lib0.so\n\npkgname");
    let origin = parse(&changed);
    for keeps_sonames in [true, false] {
        let mut request = request(&origin, Scope::All);
        request.base = Some(&base);
        request.keeps_sonames = keeps_sonames;
        let plan = plan(&index, &request);
        let reasons = plan
            .needs_bootstrap
            .iter()
            .map(|needed| needed.reasons.len());
        println!(
            "{} builds, {} reasons",
            plan.builds.len(),
            reasons.sum::<usize>()
        );
    }
    let mut request = request(&origin, Scope::All);
    request.base = Some(&base);
    bencher.bench_local(|| buildbtw_planner::plan(&index, &request));
}

/// Plans a component of thousands of packages, whose environments contain hundreds of each other.
#[divan::bench(args = [600, 5_600], sample_count = 5, sample_size = 1)]
fn plan_with_a_large_cycle(bencher: divan::Bencher<'_, '_>, cycle_size: usize) {
    let texts = generate::cyclic(34_000, cycle_size);
    let packages: Vec<_> = texts
        .iter()
        .map(|text| Arc::new(parse_srcinfo(text).unwrap()))
        .collect();
    let index = index(&packages);
    let request = request(&packages[0], Scope::All);
    let plan = plan(&index, &request);
    let largest = plan.cycles.iter().map(|cycle| cycle.members.len()).max();
    let broken: usize = plan.cycles.iter().map(|cycle| cycle.broken.len()).sum();
    println!(
        "{} builds of {} packages, largest cycle {largest:?}, {broken} broken, {} levels",
        plan.builds.len(),
        plan.pkgbases().len(),
        plan.levels(),
    );
    bencher.bench_local(|| buildbtw_planner::plan(&index, &request));
}

/// Changes a package of the rebuild set and plans again if the plan is affected: for the median origin of the
/// distribution, in the transitive scope.
#[divan::bench(args = [15_000, 35_000], sample_count = 50, sample_size = 1)]
fn replan_after_one_change(bencher: divan::Bencher<'_, '_>, size: usize) {
    let packages = packages(size);
    let mut index = index(&packages);
    let mut sizes: Vec<(usize, &Arc<SourcePackage>)> = packages
        .iter()
        .step_by(37)
        .map(|origin| {
            (
                plan(&index, &request(origin, Scope::Transitive))
                    .builds
                    .len(),
                origin,
            )
        })
        .filter(|(builds, _)| *builds > 1)
        .collect();
    sizes.sort_by_key(|(builds, _)| *builds);
    let (builds, origin) = sizes[sizes.len() / 2];
    println!("median plan with dependents: {builds} builds");
    let request = request(origin, Scope::Transitive);
    let (first, footprint) = plan_with_footprint(&index, &request);
    let member = Arc::clone(index.get(&first.builds[builds - 1].pkgbase).unwrap());
    let stored = member.as_stored().replacen("\nn ", "\nd glibc\nn ", 1);
    let changed = Arc::new(SourcePackage::from_stored(stored).unwrap());
    let mut flip = false;
    bencher.bench_local(|| {
        flip = !flip;
        let next = if flip { &changed } else { &member };
        let change = index.insert(Arc::clone(next));
        footprint
            .is_affected_by(&change)
            .then(|| plan_with_footprint(&index, &request))
    });
}
