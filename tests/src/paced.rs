//! Parallel chains of builds at a steady pace.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::Pkgbase;
use buildbtw_model::client::Client;

use crate::sources::Sources;
use crate::worker_pool::{WorkerPool, create, done};

/// As many builds per second as chains, each of which takes a second.
pub struct Paced {
    /// The number of chains.
    pub chains: usize,
    /// The number of builds of each.
    pub length: usize,
    /// The number of workers.
    pub workers: usize,
}

impl Paced {
    /// Writes the packages: all chains begin with a dependent of `p0`.
    #[must_use]
    pub fn sources(&self, folder: &Path) -> Sources {
        let sources = Sources::new(folder);
        let graph = (0..=self.chains * self.length).map(|number| match number {
            0 => Vec::new(),
            _ => vec![self.dependency(number)],
        });
        sources.write_graph(graph);
        sources
    }

    fn dependency(&self, number: usize) -> usize {
        number.saturating_sub(self.chains).min(number)
    }

    /// Builds all of them in a new namespace, and returns the times from the report of a dependency until a worker has
    /// the dependent.
    pub async fn dispatches(&self, client: &Client, folder: &Path, name: &str) -> Vec<Duration> {
        let pace = Duration::from_secs(1);
        let worker_pool = WorkerPool::start(client, folder, self.workers, pace);
        create(client, "p0/main", name).await;
        done(client, name).await;
        let times = Arc::clone(&worker_pool.times);
        worker_pool.stop_all();
        let times = times.lock().unwrap();
        let of = |number: usize| format!("p{number}").parse::<Pkgbase>().unwrap();
        let all = (1..=self.chains * self.length).map(|number| {
            let reported = times.reported[&of(self.dependency(number))];
            times.claimed[&of(number)].duration_since(reported)
        });
        // The first ones are claimed simultaneously.
        all.skip(self.chains).collect()
    }
}

/// Returns median, 99th percentile and maximum.
#[must_use]
pub fn spread(mut latencies: Vec<Duration>) -> String {
    latencies.sort();
    let count = latencies.len();
    format!(
        "median {:.2?}, p99 {:.2?}, max {:.2?} ({count})",
        latencies[count / 2],
        latencies[count * 99 / 100],
        latencies[count - 1]
    )
}
