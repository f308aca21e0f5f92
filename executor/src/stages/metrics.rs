//! `metrics`: serves the metrics of this host's jobs.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use buildbtw_metrics::{Histograms, long_histogram};
use buildbtw_model::{Explanation, FailureKind, saturating};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::explanations;
use crate::failure::Failure;
use crate::front::Host;
use crate::records::{Reader, Record};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The metrics of this host.
#[derive(Debug, Clone)]
struct Metrics {
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histograms<ResultLabel>,
    jobs: Gauge,
    space: Gauge,
    unread: Counter,
}

/// Serves metrics until the process is stopped.
pub(super) fn run(host: &Host, listen: SocketAddr) -> Result<(), Failure> {
    let state_dir = host.config.state_dir.clone();
    count_jobs(&state_dir).map_err(|error| explanations::unreadable_jobs(&state_dir, error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = buildbtw_metrics::listen(listen, "--listen")
            .await
            .map_err(|error| Explanation::with_hint(error.to_string(), error.hint()))?;
        let address = listener.local_addr()?;
        writeln!(
            io::stderr(),
            "metrics are available at http://{address}/metrics"
        )?;
        let router = router(state_dir);
        buildbtw_metrics::serve(listener, router).await;
        Ok(())
    })
}

fn router(state_dir: PathBuf) -> buildbtw_metrics::Router {
    let metrics = Metrics::new();
    let registry =
        buildbtw_metrics::registry("buildbtw_executor", env!("CARGO_PKG_VERSION"), |registry| {
            metrics.register(registry);
        });
    let reader = Arc::new(Mutex::new(Reader::new(state_dir.clone())));
    buildbtw_metrics::router(Arc::new(registry), move || {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.refresh(&state_dir, &mut reader);
    })
}

impl Metrics {
    fn new() -> Self {
        let this = Self {
            attempts: Family::default(),
            seconds: Family::new_with_constructor(long_histogram),
            jobs: Gauge::default(),
            space: Gauge::default(),
            unread: Counter::default(),
        };
        let kinds = FailureKind::ALL.iter().copied().map(Some);
        for failure in kinds.chain([None]) {
            let labels = labels(failure);
            let result = labels.result;
            drop(this.attempts.get_or_create(&labels));
            drop(this.seconds.get_or_create(&ResultLabel { result }));
        }
        this
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("attempts", "Attempts that ended", self.attempts.clone());
        registry.register_with_unit(
            "attempt",
            "How long attempts took, with uploads and report",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register("jobs", "Jobs that have a folder", self.jobs.clone());
        registry.register_with_unit(
            "state_available",
            "Free space of the file system of the state folder",
            Unit::Bytes,
            self.space.clone(),
        );
        registry.register(
            "metrics_read_failures",
            "How often the state folder could not be read",
            self.unread.clone(),
        );
    }

    fn refresh(&self, state_dir: &Path, reader: &mut Reader) {
        match (count_jobs(state_dir), reader.read()) {
            (Ok(jobs), Ok(records)) => {
                self.jobs.set(jobs);
                records.into_iter().for_each(|record| self.count(record));
            }
            _ => {
                self.unread.inc();
            }
        }
        if let Ok(space) = buildbtw_metrics::space(state_dir) {
            self.space.set(saturating(space.available));
        }
    }

    fn count(&self, record: Record) {
        let labels = labels(record.failure);
        let result = labels.result;
        self.attempts.get_or_create(&labels).inc();
        let seconds = self.seconds.get_or_create(&ResultLabel { result });
        seconds.observe(record.seconds);
    }
}

fn labels(failure: Option<FailureKind>) -> AttemptLabels {
    let (result, cause) = match failure {
        None => ("succeeded", "none"),
        Some(kind) => ("failed", kind.as_str()),
    };
    AttemptLabels { result, cause }
}

/// Counts the folders of jobs.
fn count_jobs(state_dir: &Path) -> io::Result<i64> {
    match fs_err::read_dir(state_dir.join("jobs")) {
        Ok(jobs) => Ok(i64::try_from(jobs.count()).unwrap_or(i64::MAX)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_jobs_and_attempts() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("jobs/17")).unwrap();
        let outcome = buildbtw_model::api::Outcome::Failed {
            kind: FailureKind::Package,
            explanation: "no".into(),
        };
        crate::records::append(folder.path(), &outcome, std::time::Duration::from_secs(3));
        let metrics = Metrics::new();
        let mut reader = Reader::new(folder.path().to_owned());
        for _ in 0..2 {
            metrics.refresh(folder.path(), &mut reader);
        }
        assert_eq!(metrics.jobs.get(), 1);
        assert!(metrics.space.get() > 0);
        let count = |failure| metrics.attempts.get(&labels(failure)).unwrap().get();
        assert_eq!(count(Some(FailureKind::Package)), 1);
        assert_eq!(count(None), 0);
        assert_eq!(metrics.unread.get(), 0);
    }
}
