//! Compares two representations of a rebuild set's graph for petgraph: compressed sparse rows that implement its visit
//! traits, as in the planner, and its own `DiGraph`. The same algorithms run on both.
//!
//! The graphs have the planner's shape: a vertex for each build and for each installed package; edges from a build to
//! what it installs, and from a package to what it pulls in and to its build.
//!
//! `cargo bench -p buildbtw-planner --bench graph`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark aborts on errors and prints its results"
)]

use std::collections::HashMap;

use buildbtw_planner::parse_srcinfo;
use divan::Bencher;
use fixedbitset::FixedBitSet;
use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::DiGraph;
use petgraph::visit::{
    IntoNeighborsDirected, IntoNodeIdentifiers, NodeFiltered, NodeIndexable, Visitable,
};

#[path = "../tests/it/generate.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod generate;
#[path = "../src/sparse.rs"]
#[allow(dead_code, unused_imports, reason = "the planner uses the rest")]
mod sparse;

use sparse::{Rows, SparseGraph};

const SIZES: [usize; 2] = [15_000, 35_000];

fn main() {
    divan::main();
}

/// Returns the successors of each vertex: builds first, then packages.
fn successors(size: usize) -> Vec<Vec<u32>> {
    let architecture = "x86_64".parse().unwrap();
    let sources = generate::texts(size);
    let sources: Vec<_> = sources
        .iter()
        .map(|text| parse_srcinfo(text).unwrap())
        .collect();
    let packages = sources.iter().zip(0u32..).flat_map(|(source, build)| {
        source
            .packages()
            .map(move |package| (source, build, package))
    });
    let packages: Vec<_> = packages.collect();
    let first = u32::try_from(sources.len()).unwrap();
    let vertex_of: HashMap<&str, u32> = packages
        .iter()
        .zip(first..)
        .map(|((.., package), vertex)| (package.pkgname().as_str(), vertex))
        .collect();
    let vertex = |relation: &str| {
        let end = relation.find(['<', '=', '>']).unwrap_or(relation.len());
        vertex_of.get(&relation[..end]).copied()
    };
    let mut successors = vec![Vec::new(); sources.len()];
    for (source, build, package) in &packages {
        let mut pulls: Vec<u32> = package
            .depends(&architecture)
            .into_iter()
            .filter_map(vertex)
            .collect();
        let listed = [
            source.depends(&architecture),
            source.makedepends(&architecture),
            source.checkdepends(&architecture),
        ];
        let installs = &mut successors[*build as usize];
        installs.extend(listed.concat().into_iter().filter_map(vertex));
        installs.extend(&pulls);
        installs.sort_unstable();
        installs.dedup();
        pulls.push(*build);
        successors.push(pulls);
    }
    successors
}

fn rows(successors: &[Vec<u32>]) -> SparseGraph {
    let mut rows = Rows::new();
    for successors in successors {
        for &successor in successors {
            rows.push(successor);
        }
        rows.end_row();
    }
    SparseGraph::new(rows)
}

fn digraph(successors: &[Vec<u32>]) -> DiGraph<(), ()> {
    let edges = successors.iter().map(Vec::len).sum();
    let mut graph = DiGraph::with_capacity(successors.len(), edges);
    for _ in successors {
        graph.add_node(());
    }
    for (vertex, successors) in (0u32..).zip(successors) {
        for &successor in successors {
            graph.add_edge(vertex.into(), successor.into(), ());
        }
    }
    graph
}

/// Returns the number of components, and of vertices in components of one vertex after these have been sorted
/// topologically.
fn analyse<G>(graph: G) -> (usize, usize)
where
    G: IntoNeighborsDirected + IntoNodeIdentifiers + NodeIndexable + Visitable,
{
    let components = kosaraju_scc(graph);
    let mut alone = FixedBitSet::with_capacity(graph.node_bound());
    for component in &components {
        if let [vertex] = component[..] {
            alone.insert(graph.to_index(vertex));
        }
    }
    let is_alone = |vertex| alone.contains(graph.to_index(vertex));
    let order = toposort(&NodeFiltered::from_fn(graph, is_alone), None);
    (components.len(), order.map_or(0, |order| order.len()))
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn build_rows(bencher: Bencher<'_, '_>, size: usize) {
    let successors = successors(size);
    bencher.bench_local(|| rows(&successors));
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn build_digraph(bencher: Bencher<'_, '_>, size: usize) {
    let successors = successors(size);
    bencher.bench_local(|| digraph(&successors));
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn analyse_rows(bencher: Bencher<'_, '_>, size: usize) {
    let graph = rows(&successors(size));
    let expected = analyse(&digraph(&successors(size)));
    assert_eq!(analyse(&graph), expected);
    bencher.bench_local(|| analyse(&graph));
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn analyse_digraph(bencher: Bencher<'_, '_>, size: usize) {
    let graph = digraph(&successors(size));
    bencher.bench_local(|| analyse(&graph));
}
