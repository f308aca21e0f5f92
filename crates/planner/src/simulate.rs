//! A simulation of how long a plan takes with a given number of workers.
//!
//! The lower bound of every schedule is the critical path, or the total work divided by the number of workers,
//! whichever is larger. How close a policy comes to this bound shows what its priorities are worth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::algo::{Cycle, toposort};
use petgraph::visit::{IntoNeighborsDirected, IntoNodeIdentifiers, NodeIndexable, Visitable};
use petgraph::{Incoming, Outgoing};

use crate::longest_path::longest_paths;

/// Which ready build is assigned to the next free worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The one with the longest remaining critical path.
    CriticalPath,
    /// The one that became ready first.
    Fifo,
    /// A random one, reproducible by its seed.
    Random(u64),
}

/// The result of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the last build ends.
    pub makespan_s: u64,
    /// The duration of the critical path.
    pub critical_path_s: u64,
    /// The sum of all durations.
    pub work_s: u64,
    /// The lower bound: the critical path or the work divided by the workers, whichever is larger.
    pub bound_s: u64,
}

impl Outcome {
    /// Returns the makespan as a multiple of the lower bound.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.bound_s == 0 {
            return 1.0;
        }
        self.makespan_s as f64 / self.bound_s as f64
    }
}

/// Simulates the builds of an acyclic graph on `workers` workers (at least one). Edges lead from a build to those that
/// it needs.
///
/// # Errors
/// When the graph has a cycle.
pub fn simulate<G>(
    graph: G,
    duration_s: impl Fn(G::NodeId) -> u64,
    workers: usize,
    policy: Policy,
) -> Result<Outcome, Cycle<G::NodeId>>
where
    G: IntoNeighborsDirected + IntoNodeIdentifiers + NodeIndexable + Visitable,
{
    let ends = ends(graph, &duration_s, workers, policy)?;
    let work_s: u64 = graph.node_identifiers().map(&duration_s).sum();
    let critical_path_s = critical_paths(graph, duration_s)?.into_iter().max();
    let critical_path_s = critical_path_s.unwrap_or(0);
    Ok(Outcome {
        makespan_s: ends.into_iter().max().unwrap_or(0),
        critical_path_s,
        work_s,
        bound_s: critical_path_s.max(work_s.div_ceil(workers.max(1) as u64)),
    })
}

/// Returns the remaining critical path of each build, itself included.
fn critical_paths<G>(
    graph: G,
    duration_s: impl Fn(G::NodeId) -> u64,
) -> Result<Vec<u64>, Cycle<G::NodeId>>
where
    G: IntoNeighborsDirected + IntoNodeIdentifiers + NodeIndexable + Visitable,
{
    let order = toposort(graph, None)?;
    Ok(longest_paths(graph, order.into_iter(), duration_s))
}

/// Returns when each build of an acyclic graph ends on `workers` workers (at least one), in seconds from the start:
/// list scheduling (Graham 1966) in the order of the policy. Edges lead from a build to those that it needs; of builds
/// that the policy does not distinguish, the first in the graph comes first.
///
/// # Errors
/// When the graph has a cycle.
pub fn ends<G>(
    graph: G,
    duration_s: impl Fn(G::NodeId) -> u64,
    workers: usize,
    policy: Policy,
) -> Result<Vec<u64>, Cycle<G::NodeId>>
where
    G: IntoNeighborsDirected + IntoNodeIdentifiers + NodeIndexable + Visitable,
{
    let workers = workers.max(1);
    let remaining = critical_paths(graph, &duration_s)?;
    let mut waiting = vec![0usize; graph.node_bound()];
    let mut ends = vec![0u64; graph.node_bound()];

    let mut random = Random::new(policy);
    let mut arrivals = 0u64;
    let mut rank = |at: usize| {
        arrivals += 1;
        match policy {
            Policy::CriticalPath => (remaining[at], Reverse(arrivals)),
            Policy::Fifo => (0, Reverse(arrivals)),
            Policy::Random(_) => (random.next(), Reverse(arrivals)),
        }
    };
    let mut ready = BinaryHeap::new();
    for build in graph.node_identifiers() {
        let at = graph.to_index(build);
        waiting[at] = graph.neighbors_directed(build, Outgoing).count();
        if waiting[at] == 0 {
            ready.push((rank(at), at));
        }
    }
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut freed = Vec::new();
    let mut now = 0;
    loop {
        while running.len() < workers
            && let Some((_, at)) = ready.pop()
        {
            running.push(Reverse((now + duration_s(graph.from_index(at)), at)));
        }
        let Some(Reverse((end, at))) = running.pop() else {
            break;
        };
        now = end;
        ends[at] = end;
        for user in graph.neighbors_directed(graph.from_index(at), Incoming) {
            let user = graph.to_index(user);
            waiting[user] -= 1;
            if waiting[user] == 0 {
                freed.push(user);
            }
        }
        freed.sort_unstable();
        ready.extend(freed.drain(..).map(|user| (rank(user), user)));
    }
    Ok(ends)
}

/// A pseudorandom number generator (SplitMix64): the same seed must give the same schedule in every version.
struct Random(u64);

impl Random {
    fn new(policy: Policy) -> Self {
        match policy {
            Policy::Random(seed) => Self(seed),
            Policy::CriticalPath | Policy::Fifo => Self(0),
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use petgraph::graph::DiGraph;
    use petgraph::visit::NodeFiltered;
    use proptest::prelude::*;

    use super::*;

    /// Returns a graph of builds with these durations and needs.
    fn graph(builds: &[(u64, &[usize])]) -> DiGraph<u64, ()> {
        let mut graph = DiGraph::new();
        let durations = builds.iter().map(|(duration_s, _)| *duration_s);
        let nodes: Vec<_> = durations
            .map(|duration_s| graph.add_node(duration_s))
            .collect();
        for (&node, (_, needs)) in nodes.iter().zip(builds) {
            for &need in *needs {
                graph.add_edge(node, nodes[need], ());
            }
        }
        graph
    }

    fn simulated(graph: &DiGraph<u64, ()>, workers: usize, policy: Policy) -> Outcome {
        simulate(graph, |build| graph[build], workers, policy).unwrap()
    }

    #[test]
    fn starts_critical_path_first() {
        // Three short builds and a chain of two long ones, on two workers.
        let graph = graph(&[(1, &[]), (1, &[]), (1, &[]), (3, &[]), (3, &[3])]);
        let good = simulated(&graph, 2, Policy::CriticalPath);
        assert_eq!((good.makespan_s, good.bound_s), (6, 6));
        assert_eq!(simulated(&graph, 2, Policy::Fifo).makespan_s, 7);
        assert_eq!(simulated(&graph, 0, Policy::Fifo).makespan_s, 9);
    }

    #[test]
    fn simulates_part_of_graph_in_its_order() {
        // The builds are equally urgent, and the first one is not simulated.
        let graph = graph(&[(9, &[]), (1, &[0]), (1, &[]), (2, &[1, 2]), (2, &[2, 1])]);
        let part = NodeFiltered::from_fn(&graph, |build| graph[build] < 9);
        let ends = ends(&part, |build| graph[build], 1, Policy::CriticalPath);
        assert_eq!(ends.unwrap(), [0, 1, 2, 4, 6]);
    }

    #[test]
    fn returns_a_build_of_a_cycle() {
        let graph = graph(&[(1, &[]), (1, &[2]), (1, &[1])]);
        let cycle = ends(&graph, |build| graph[build], 1, Policy::CriticalPath).unwrap_err();
        assert!(cycle.node_id().index() > 0);
        assert!(simulate(&graph, |build| graph[build], 1, Policy::Fifo).is_err());
    }

    proptest! {
        #[test]
        fn keeps_makespan_between_lower_bound_and_twice_it(
            list in prop::collection::vec((1u64..50, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..40),
            workers in 1usize..6,
            seed: u64,
        ) {
            let needs: Vec<Vec<usize>> = list.iter().enumerate().map(|(at, (_, needs))| {
                needs.iter().map(|need| need.index(at + 1)).filter(|&need| need < at).collect()
            }).collect();
            let builds: Vec<(u64, &[usize])> =
                list.iter().zip(&needs).map(|((duration_s, _), needs)| (*duration_s, &**needs)).collect();
            let graph = graph(&builds);
            for policy in [Policy::CriticalPath, Policy::Fifo, Policy::Random(seed)] {
                let outcome = simulated(&graph, workers, policy);
                prop_assert!(outcome.makespan_s >= outcome.bound_s);
                // No worker is idle while a build is ready, which bounds every such schedule.
                prop_assert!(outcome.makespan_s <= outcome.critical_path_s + outcome.work_s.div_ceil(workers as u64));
                prop_assert_eq!(outcome, simulated(&graph, workers, policy));
            }
        }
    }
}
