//! A simulation of how long a plan takes with a given number of workers.
//!
//! The lower bound of every schedule is the critical path, or the total work divided by the number of workers,
//! whichever is larger. How close a policy comes to this bound shows what its priorities are worth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Incoming;
use petgraph::visit::{IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers};

use crate::plan::Plan;
use crate::sparse::{Rows, SparseGraph, number};

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

/// A build to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedBuild {
    /// Its duration.
    pub duration_s: u64,
    /// The positions of the builds it waits for, all less than its own.
    pub needs: Vec<usize>,
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

impl Plan {
    /// Returns the builds with these durations; where there is none, with the plan's estimate.
    pub fn to_simulate(&self, duration: impl Fn(usize) -> Option<u64>) -> Vec<SimulatedBuild> {
        let builds = self.builds.iter().enumerate();
        builds
            .map(|(at, build)| SimulatedBuild {
                duration_s: duration(at).unwrap_or(build.estimate_s),
                needs: build.needs.iter().map(|need| need.build).collect(),
            })
            .collect()
    }
}

/// Simulates the builds on `workers` workers (at least one).
#[must_use]
pub fn simulate(builds: &[SimulatedBuild], workers: usize, policy: Policy) -> Outcome {
    let ends = ends(builds, workers, policy);
    let work_s: u64 = builds.iter().map(|build| build.duration_s).sum();
    let critical_path_s = chains(builds).into_iter().max().unwrap_or(0);
    Outcome {
        makespan_s: ends.into_iter().max().unwrap_or(0),
        critical_path_s,
        work_s,
        bound_s: critical_path_s.max(work_s.div_ceil(workers.max(1) as u64)),
    }
}

/// Returns the remaining critical path of each build, itself included.
fn chains(builds: &[SimulatedBuild]) -> Vec<u64> {
    let mut chains = vec![0u64; builds.len()];
    for (at, build) in builds.iter().enumerate().rev() {
        // All builds that wait for it have been processed and have recorded their chain here.
        chains[at] += build.duration_s;
        for &need in build.needs.iter().filter(|&&need| need < at) {
            chains[need] = chains[need].max(chains[at]);
        }
    }
    chains
}

/// Returns when each build ends on `workers` workers (at least one), in seconds from the start: list scheduling
/// (Graham 1966) in the order of the policy.
#[must_use]
pub fn ends(builds: &[SimulatedBuild], workers: usize, policy: Policy) -> Vec<u64> {
    let workers = workers.max(1);
    let mut needs = Rows::new();
    for (at, build) in builds.iter().enumerate() {
        // A build cannot wait for a later one; plans never contain such a need.
        for &need in build.needs.iter().filter(|&&need| need < at) {
            needs.push(number(need));
        }
        needs.end_row();
    }
    let graph = SparseGraph::new(needs);
    let vertices = graph.node_identifiers();
    let mut waiting: Vec<usize> = vertices.map(|at| graph.neighbors(at).count()).collect();
    let remaining = chains(builds);
    let mut ends = vec![0u64; builds.len()];

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
    for (at, _) in waiting.iter().enumerate().filter(|(_, count)| **count == 0) {
        ready.push((rank(at), at));
    }
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        while running.len() < workers
            && let Some((_, at)) = ready.pop()
        {
            running.push(Reverse((now + builds[at].duration_s, at)));
        }
        let Some(Reverse((end, at))) = running.pop() else {
            break;
        };
        now = end;
        ends[at] = end;
        for user in graph.neighbors_directed(number(at), Incoming) {
            let user = user as usize;
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.push((rank(user), user));
            }
        }
    }
    ends
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
    use proptest::prelude::*;

    use super::*;

    fn builds(list: &[(u64, &[usize])]) -> Vec<SimulatedBuild> {
        list.iter()
            .map(|(duration_s, needs)| SimulatedBuild {
                duration_s: *duration_s,
                needs: needs.to_vec(),
            })
            .collect()
    }

    #[test]
    fn starts_critical_path_first() {
        // Three short builds and a chain of two long ones, on two workers.
        let builds = builds(&[(1, &[]), (1, &[]), (1, &[]), (3, &[]), (3, &[3])]);
        let good = simulate(&builds, 2, Policy::CriticalPath);
        assert_eq!((good.makespan_s, good.bound_s), (6, 6));
        assert_eq!(simulate(&builds, 2, Policy::Fifo).makespan_s, 7);
        assert_eq!(simulate(&builds, 0, Policy::Fifo).makespan_s, 9);
    }

    proptest! {
        #[test]
        fn keeps_makespan_between_lower_bound_and_twice_it(
            list in prop::collection::vec((1u64..50, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..40),
            workers in 1usize..6,
            seed: u64,
        ) {
            let builds: Vec<SimulatedBuild> = list.iter().enumerate().map(|(at, (duration_s, needs))| {
                let mut needs: Vec<usize> = needs.iter().map(|need| need.index(at + 1)).filter(|&need| need < at).collect();
                needs.sort_unstable();
                needs.dedup();
                SimulatedBuild { duration_s: *duration_s, needs }
            }).collect();
            for policy in [Policy::CriticalPath, Policy::Fifo, Policy::Random(seed)] {
                let outcome = simulate(&builds, workers, policy);
                prop_assert!(outcome.makespan_s >= outcome.bound_s);
                // No worker is idle while a build is ready, which bounds every such schedule.
                prop_assert!(outcome.makespan_s <= outcome.critical_path_s + outcome.work_s.div_ceil(workers as u64));
                prop_assert_eq!(outcome, simulate(&builds, workers, policy));
            }
        }
    }
}
