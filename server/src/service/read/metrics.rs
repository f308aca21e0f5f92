//! The text of `/metrics`: sets the gauges from the database and the machine, then encodes everything.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_model::{Architecture, BuildStatus};
use bytes::Bytes;

use crate::db::figures::{self, BuildCounts, WorkerFigures};
use crate::db::workers::WORKER_TIMEOUT;
use crate::metrics::builds::ArchitectureCounts;
use crate::metrics::workers::{Seen, WorkerState};
use crate::state::parts::MonitoringParts;
use crate::time::Millis;

use super::readiness::readiness;

/// How long a worker without a request keeps its series; the alert about silent workers ends then, too.
const FORGET_WORKERS_AFTER: Duration = Duration::from_secs(86_400);
/// How long the database may take. Afterwards gauges keep their values, and the rest is served.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns all metrics as OpenMetrics text. Without the database it has what does not depend on it.
pub async fn metrics_text(parts: MonitoringParts<'_>) -> Bytes {
    parts.metrics.text(refresh(parts)).await
}

async fn refresh(parts: MonitoringParts<'_>) {
    let resources = &parts.metrics.resources;
    let (streams, connections) = parts.admission.open();
    let waiting = parts.claims.waiting();
    resources.set_open(streams, connections, waiting.claims);
    parts.metrics.actors.set_outages(parts.outages.by_task());
    resources.set_runtime(&tokio::runtime::Handle::current().metrics());
    if let Ok(space) = parts.disk.space() {
        resources.set_disk(space, parts.disk.reserve());
    }
    let (figures, ready) = tokio::join!(
        tokio::time::timeout(READ_TIMEOUT, read_figures(parts)),
        readiness(parts)
    );
    resources.set_ready(ready.ready);
    if !matches!(figures, Ok(Ok(()))) {
        resources.unread();
    }
}

/// Sets the gauges that the database has. The queries run at the same time, over different connections.
async fn read_figures(parts: MonitoringParts<'_>) -> sqlx::Result<()> {
    let now = parts.database.clock().now();
    let reader = parts.database.read();
    let (builds, workers, webhooks) = tokio::try_join!(
        figures::build_counts(reader, now),
        figures::workers(reader, now - FORGET_WORKERS_AFTER),
        figures::unprocessed_webhooks(reader),
    )?;
    let metrics = parts.metrics;
    let counts = by_architecture(builds, now);
    metrics
        .builds
        .set_counts(&parts.config.architectures, &counts);
    let seen: Vec<_> = workers
        .into_iter()
        .map(|worker| seen(worker, now))
        .collect();
    metrics.workers.set(&seen);
    metrics.forge.set_webhooks(webhooks);
    Ok(())
}

/// Sums up the builds of all iterations.
fn by_architecture(
    iterations: Vec<BuildCounts>,
    now: Millis,
) -> BTreeMap<Architecture, ArchitectureCounts> {
    let mut all: BTreeMap<_, ArchitectureCounts> = BTreeMap::new();
    for counts in iterations {
        let own = all.entry(counts.architecture.clone()).or_default();
        for state in BuildStatus::ALL {
            *own.states.entry(*state).or_default() += counts.of(*state);
        }
        let oldest = counts.ready_since.map(|since| now.since(since));
        own.oldest = own.oldest.max(oldest);
    }
    all
}

fn seen(worker: WorkerFigures, now: Millis) -> Seen {
    let state = if now.since(worker.last_seen_at) >= WORKER_TIMEOUT {
        WorkerState::Silent
    } else if worker.is_drained && worker.running == 0 {
        WorkerState::Drained
    } else if worker.is_drained {
        WorkerState::Draining
    } else if worker.running == 0 {
        WorkerState::Free
    } else if worker.running < worker.jobs {
        WorkerState::Building
    } else {
        WorkerState::Busy
    };
    Seen {
        name: worker.name,
        state,
        last_contact: worker.last_seen_at,
        jobs: worker.jobs,
        running: worker.running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_worker_does() {
        let state = |running, silent_for, is_drained| {
            let worker = WorkerFigures {
                name: "w".parse().unwrap(),
                jobs: 2,
                running,
                last_seen_at: Millis(0),
                is_drained,
            };
            seen(worker, Millis(0) + silent_for).state
        };
        let short = Duration::from_secs(1);
        assert_eq!(state(0, short, false), WorkerState::Free);
        assert_eq!(state(1, short, false), WorkerState::Building);
        assert_eq!(state(2, short, false), WorkerState::Busy);
        assert_eq!(state(1, short, true), WorkerState::Draining);
        assert_eq!(state(2, short, true), WorkerState::Draining);
        assert_eq!(state(0, short, true), WorkerState::Drained);
        assert_eq!(state(2, WORKER_TIMEOUT, false), WorkerState::Silent);
        assert_eq!(state(0, WORKER_TIMEOUT, true), WorkerState::Silent);
    }
}
