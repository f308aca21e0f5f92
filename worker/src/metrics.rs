//! The metrics of a worker. They are counted always, and served with `--metrics-listen`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use buildbtw_agent::Agent;
use buildbtw_metrics::{Histograms, Router, long_histogram};
use buildbtw_model::api::Outcome;
use buildbtw_model::{FailureKind, saturating};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

const SUCCEEDED: &str = "succeeded";
const FAILED: &str = "failed";

/// The metrics of a worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    jobs: Gauge,
    building: Gauge,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histograms<ResultLabel>,
    reachable: Gauge,
    scratch: Gauge,
}

/// An attempt that runs. It counts as running until it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    metrics: &'a Metrics,
    began: Instant,
}

impl Metrics {
    /// Creates the metrics of a worker that runs up to `jobs` builds.
    pub(crate) fn new(jobs: usize) -> Self {
        let this = Self {
            jobs: Gauge::default(),
            building: Gauge::default(),
            attempts: Family::default(),
            seconds: Family::new_with_constructor(long_histogram),
            reachable: Gauge::default(),
            scratch: Gauge::default(),
        };
        this.jobs.set(saturating(jobs));
        drop(this.attempts.get_or_create(&labels(None)));
        for kind in FailureKind::ALL {
            drop(this.attempts.get_or_create(&labels(Some(*kind))));
        }
        for result in [SUCCEEDED, FAILED] {
            drop(this.seconds.get_or_create(&ResultLabel { result }));
        }
        this
    }

    /// Counts an attempt as running.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.building.inc();
        Running {
            metrics: self,
            began: Instant::now(),
        }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("jobs", "How many builds it runs at most", self.jobs.clone());
        registry.register("building", "How many builds it runs", self.building.clone());
        registry.register("attempts", "Attempts that ended", self.attempts.clone());
        registry.register_with_unit(
            "attempt",
            "How long attempts took, with uploads and report",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "server_reachable",
            "Whether the server answered the last request",
            self.reachable.clone(),
        );
        registry.register_with_unit(
            "scratch_available",
            "Free space of the file system of the scratch folder",
            Unit::Bytes,
            self.scratch.clone(),
        );
    }
}

impl Running<'_> {
    /// Counts its outcome.
    pub(crate) fn end(self, outcome: &Outcome) {
        let (result, failure) = match outcome {
            Outcome::Succeeded { .. } => (SUCCEEDED, None),
            Outcome::Failed { kind, .. } => (FAILED, Some(*kind)),
        };
        self.metrics.attempts.get_or_create(&labels(failure)).inc();
        let seconds = self.metrics.seconds.get_or_create(&ResultLabel { result });
        seconds.observe(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.building.dec();
    }
}

fn labels(failure: Option<FailureKind>) -> AttemptLabels {
    match failure {
        None => AttemptLabels {
            result: SUCCEEDED,
            cause: "none",
        },
        Some(kind) => AttemptLabels {
            result: FAILED,
            cause: kind.as_str(),
        },
    }
}

/// Returns the routes of the address for metrics, which tell the state of the connection and of the disk at each
/// request.
pub(crate) fn router(metrics: Metrics, agent: Arc<Agent>, scratch: PathBuf) -> Router {
    let version = env!("CARGO_PKG_VERSION");
    let registry = buildbtw_metrics::registry("buildbtw_worker", version, |registry| {
        metrics.register(registry);
    });
    buildbtw_metrics::router(Arc::new(registry), move || {
        metrics
            .reachable
            .set(i64::from(agent.connection.is_reachable()));
        if let Ok(space) = buildbtw_metrics::space(&scratch) {
            metrics.scratch.set(saturating(space.available));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_outcomes_and_running_attempts() {
        let metrics = Metrics::new(2);
        let running = metrics.begin();
        let other = metrics.begin();
        assert_eq!(metrics.building.get(), 2);
        running.end(&Outcome::Failed {
            kind: FailureKind::Timeout,
            explanation: "slow".into(),
        });
        drop(other);
        assert_eq!(metrics.building.get(), 0);
        let count = |failure| metrics.attempts.get(&labels(failure)).unwrap().get();
        assert_eq!(count(Some(FailureKind::Timeout)), 1);
        assert_eq!((count(None), count(Some(FailureKind::Package))), (0, 0));
    }
}
