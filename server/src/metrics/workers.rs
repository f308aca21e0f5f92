//! Metrics of workers.

use std::collections::BTreeSet;

use buildbtw_metrics::FloatGauge;
use buildbtw_model::{WorkerName, saturating};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Mutex, PoisonError};

use crate::time::Millis;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// It builds nothing.
    Free,
    /// It builds, and could build more.
    Building,
    /// It builds as much as it can.
    Busy,
    /// It is drained: it finishes what it builds, and gets nothing new.
    Draining,
    /// It is drained, and builds nothing.
    Drained,
    /// It sent no request for two minutes.
    Silent,
}

impl WorkerState {
    const ALL: [Self; 6] = [
        Self::Free,
        Self::Building,
        Self::Busy,
        Self::Draining,
        Self::Drained,
        Self::Silent,
    ];

    fn label(self) -> StateLabel {
        let state = match self {
            Self::Free => "free",
            Self::Building => "building",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Silent => "silent",
        };
        StateLabel { state }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkerLabel {
    worker: String,
}

/// A worker as the server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: WorkerName,
    pub(crate) state: WorkerState,
    pub(crate) last_contact: Millis,
    /// How many builds it runs at the same time.
    pub(crate) jobs: i64,
    pub(crate) running: i64,
}

impl Seen {
    /// Returns how many builds it can run. A drained worker gets no build in place of one that ends.
    fn slots(&self) -> i64 {
        match self.state {
            WorkerState::Draining | WorkerState::Drained => self.running,
            WorkerState::Free | WorkerState::Building | WorkerState::Busy | WorkerState::Silent => {
                self.jobs
            }
        }
    }
}

/// The maximum number of workers with a series of their own: any holder of a worker's token chooses names.
const MAX_SERIES: usize = 1_000;

/// Metrics of workers.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    workers: Family<StateLabel, Gauge>,
    last_contact: Family<WorkerLabel, FloatGauge>,
    slots: Gauge,
    running: Gauge,
    /// The workers that have a series, to remove those of workers that are gone.
    known: Mutex<BTreeSet<WorkerName>>,
}

impl WorkerMetrics {
    pub(crate) fn new() -> Self {
        let workers = Family::<StateLabel, Gauge>::default();
        for state in WorkerState::ALL {
            drop(workers.get_or_create(&state.label()));
        }
        Self {
            workers,
            last_contact: Family::default(),
            slots: Gauge::default(),
            running: Gauge::default(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("workers", "Workers by state", self.workers.clone());
        registry.register_with_unit(
            "worker_last_contact_timestamp",
            "When each worker last sent a request, since the Unix epoch",
            Unit::Seconds,
            self.last_contact.clone(),
        );
        registry.register(
            "slots",
            "How many builds the workers with contact can run at the same time, drained ones only those they run",
            self.slots.clone(),
        );
        registry.register(
            "slots_used",
            "How many builds they run",
            self.running.clone(),
        );
    }

    /// Sets the gauges.
    pub(crate) fn set(&self, seen: &[Seen]) {
        for state in WorkerState::ALL {
            let count = seen.iter().filter(|worker| worker.state == state).count();
            self.workers
                .get_or_create(&state.label())
                .set(saturating(count));
        }
        let alive = || seen.iter().filter(|seen| seen.state != WorkerState::Silent);
        self.slots.set(alive().map(Seen::slots).sum());
        self.running.set(alive().map(|worker| worker.running).sum());
        let mut latest: Vec<&Seen> = seen.iter().collect();
        latest.sort_by_key(|worker| std::cmp::Reverse(worker.last_contact));
        latest.truncate(MAX_SERIES);
        for worker in &latest {
            let label = label(&worker.name);
            let seconds = seconds(worker.last_contact);
            self.last_contact.get_or_create(&label).set(seconds);
        }
        let now: BTreeSet<_> = latest.iter().map(|worker| worker.name.clone()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for forgotten in known.difference(&now) {
            self.last_contact.remove(&label(forgotten));
        }
        *known = now;
    }
}

fn label(name: &WorkerName) -> WorkerLabel {
    let worker = name.to_string();
    WorkerLabel { worker }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^53"
)]
fn seconds(time: Millis) -> f64 {
    time.0 as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_series_of_the_latest_workers_only() {
        let metrics = WorkerMetrics::new();
        let seen = |number: usize| Seen {
            name: format!("w{number}").parse().unwrap(),
            state: WorkerState::Free,
            last_contact: Millis(saturating(number)),
            jobs: 1,
            running: 0,
        };
        let all: Vec<Seen> = (0..MAX_SERIES + 5).map(seen).collect();
        metrics.set(&all);
        let free = WorkerState::Free.label();
        let count: i64 = saturating(all.len());
        assert_eq!(metrics.workers.get(&free).unwrap().get(), count);
        let has_series = |number| {
            metrics
                .last_contact
                .get(&label(&seen(number).name))
                .is_some()
        };
        assert_eq!(
            (0..all.len()).filter(|n| has_series(*n)).count(),
            MAX_SERIES
        );
        assert!(!has_series(4) && has_series(5));
    }

    fn seen(name: &str, state: WorkerState, running: i64) -> Seen {
        Seen {
            name: name.parse().unwrap(),
            state,
            last_contact: Millis(1_500),
            jobs: 4,
            running,
        }
    }

    #[test]
    fn drained_workers_have_no_slots_for_further_builds() {
        let metrics = WorkerMetrics::new();
        metrics.set(&[
            seen("a", WorkerState::Draining, 3),
            seen("b", WorkerState::Drained, 0),
        ]);
        assert_eq!((metrics.slots.get(), metrics.running.get()), (3, 3));
        for state in WorkerState::ALL {
            let expected = match state {
                WorkerState::Draining | WorkerState::Drained => 1,
                _ => 0,
            };
            let count = metrics.workers.get(&state.label()).unwrap().get();
            assert_eq!(count, expected, "{state:?}");
        }
    }

    #[test]
    fn forgets_workers_that_are_gone() {
        let metrics = WorkerMetrics::new();
        let seen = |name: &str, state| seen(name, state, 1);
        metrics.set(&[
            seen("a", WorkerState::Building),
            seen("b", WorkerState::Silent),
        ]);
        assert_eq!((metrics.slots.get(), metrics.running.get()), (4, 1));
        let a = WorkerLabel { worker: "a".into() };
        assert_eq!(
            metrics.last_contact.get(&a).unwrap().get().to_string(),
            "1.5"
        );
        metrics.set(&[seen("b", WorkerState::Free)]);
        assert!(metrics.last_contact.get(&a).is_none());
        let silent = WorkerState::Silent.label();
        assert_eq!(metrics.workers.get(&silent).unwrap().get(), 0);
    }
}
