//! Metrics of the writer of the database.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use buildbtw_metrics::short_histogram;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Metrics of the writer of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DatabaseMetrics {
    wait: Histogram,
    commit: Histogram,
    busy_seconds: Counter<f64, AtomicU64>,
    locked: Counter,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            wait: short_histogram(),
            commit: short_histogram(),
            busy_seconds: Counter::default(),
            locked: Counter::default(),
        }
    }
}

impl DatabaseMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "database_writer_wait",
            "How long writes waited for earlier ones",
            Unit::Seconds,
            self.wait.clone(),
        );
        registry.register_with_unit(
            "database_commit",
            "How long commits took, which several writes share",
            Unit::Seconds,
            self.commit.clone(),
        );
        registry.register_with_unit(
            "database_writer_busy",
            "Time that the writer spent with writes and commits",
            Unit::Seconds,
            self.busy_seconds.clone(),
        );
        registry.register(
            "database_locked",
            "Writes that failed because another process locked the database",
            self.locked.clone(),
        );
    }

    /// Records how long a write waited for its turn.
    pub(crate) fn waited(&self, wait: Duration) {
        self.wait.observe(wait.as_secs_f64());
    }

    /// Records for how long a write held the writer.
    pub(crate) fn held(&self, time: Duration) {
        self.busy_seconds.inc_by(time.as_secs_f64());
    }

    /// Records a commit.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
        self.held(took);
    }

    /// Records that another process had locked the database.
    pub(crate) fn locked(&self) {
        self.locked.inc();
    }
}
