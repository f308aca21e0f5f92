//! Metrics of background tasks.

use std::time::Duration;

use buildbtw_metrics::{Histograms, short_histogram};
use buildbtw_model::BackgroundTask;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: &'static str,
}

/// Metrics of background tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ActorMetrics {
    turns: Histograms<TaskLabel>,
    failures: Family<TaskLabel, Counter>,
    panics: Family<TaskLabel, Counter>,
    outages: Family<TaskLabel, Gauge>,
}

impl Default for ActorMetrics {
    fn default() -> Self {
        let this = Self {
            turns: Family::new_with_constructor(short_histogram),
            failures: Family::default(),
            panics: Family::default(),
            outages: Family::default(),
        };
        // Every server has it.
        this.create(BackgroundTask::Claims.as_str());
        this
    }
}

impl ActorMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "task_turn",
            "How long turns of background tasks took",
            Unit::Seconds,
            self.turns.clone(),
        );
        registry.register(
            "task_failures",
            "Turns of background tasks that failed",
            self.failures.clone(),
        );
        registry.register(
            "task_panics",
            "Panics of background tasks",
            self.panics.clone(),
        );
        registry.register(
            "task_outage",
            "Whether a background task cannot do its work",
            self.outages.clone(),
        );
    }

    /// Creates the series of a task.
    pub(crate) fn create(&self, task: &'static str) {
        let label = TaskLabel { task };
        drop(self.turns.get_or_create(&label));
        drop(self.failures.get_or_create(&label));
        drop(self.panics.get_or_create(&label));
        drop(self.outages.get_or_create(&label));
    }

    /// Records a turn.
    pub(crate) fn record(&self, task: &'static str, took: Duration, is_ok: bool) {
        let label = TaskLabel { task };
        self.turns.get_or_create(&label).observe(took.as_secs_f64());
        if !is_ok {
            self.failures.get_or_create(&label).inc();
        }
    }

    /// Records a panic.
    pub(crate) fn record_panic(&self, task: &'static str) {
        let label = TaskLabel { task };
        self.panics.get_or_create(&label).inc();
    }

    /// Sets which tasks are in an outage.
    pub(crate) fn set_outages(&self, tasks: impl IntoIterator<Item = (&'static str, bool)>) {
        for (task, is_failing) in tasks {
            let outage = self.outages.get_or_create(&TaskLabel { task });
            outage.set(i64::from(is_failing));
        }
    }
}
