//! Metrics of builds, attempts and plans.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use buildbtw_metrics::{FloatGauge, Histograms, long_histogram, short_histogram};
use buildbtw_model::{Architecture, AttemptStatus, BuildStatus, FailureKind, saturating};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds for plans, in seconds.
const PLAN_BOUNDS: [f64; 13] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// The cause of lost attempts, in place of a failure kind.
const LEASE: &str = "lease";
/// The cause of attempts that ended as they should.
const NONE: &str = "none";

/// A build that was assigned to a worker or a pipeline.
#[derive(Clone, Debug)]
pub struct Dispatched {
    /// Its architecture.
    pub architecture: Architecture,
    /// How long it was ready.
    pub queued: Duration,
}

/// An attempt that ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedAttempt {
    /// Its status.
    pub status: AttemptStatus,
    /// The kind of its failure.
    pub failure: Option<FailureKind>,
    /// How long it took until its first heartbeat.
    pub start: Option<Duration>,
    /// How long it ran after that.
    pub build: Option<Duration>,
}

/// A phase of an attempt, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// From dispatch to the first heartbeat.
    Start,
    /// From there to the outcome.
    Build,
    /// From the accepted outcome until the repository lists the packages.
    Publish,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Start, Self::Build, Self::Publish];

    fn label(self) -> PhaseLabel {
        let phase = match self {
            Self::Start => "start",
            Self::Build => "build",
            Self::Publish => "publish",
        };
        PhaseLabel { phase }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    architecture: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArchitectureLabel {
    architecture: String,
}

impl From<&Architecture> for ArchitectureLabel {
    fn from(architecture: &Architecture) -> Self {
        let architecture = architecture.to_string();
        Self { architecture }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    cause: &'static str,
}

impl AttemptLabels {
    fn of(status: AttemptStatus, failure: Option<FailureKind>) -> Self {
        let cause = match (status, failure) {
            (_, Some(kind)) => kind.as_str(),
            (AttemptStatus::Lost, None) => LEASE,
            (_, None) => NONE,
        };
        Self {
            result: status.as_str(),
            cause,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The builds of an architecture.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArchitectureCounts {
    /// Their number by state.
    pub(crate) states: BTreeMap<BuildStatus, i64>,
    /// How long the oldest ready one has been waiting.
    pub(crate) oldest: Option<Duration>,
}

/// Metrics of builds, attempts and plans.
#[derive(Debug)]
pub(crate) struct BuildMetrics {
    builds: Family<BuildLabels, Gauge>,
    oldest_ready: Family<ArchitectureLabel, FloatGauge>,
    queued: Histograms<ArchitectureLabel>,
    dispatch_lag: Histogram,
    objective_exceeded: Family<ArchitectureLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    attempt: Histograms<ResultLabel>,
    phases: Histograms<PhaseLabel>,
    leases_expired: Counter,
    plan: Histogram,
    log_bytes: Counter<u64, AtomicU64>,
}

impl BuildMetrics {
    pub(crate) fn new(architectures: &[Architecture]) -> Self {
        let this = Self {
            builds: Family::default(),
            oldest_ready: Family::default(),
            queued: Family::new_with_constructor(long_histogram),
            dispatch_lag: short_histogram(),
            objective_exceeded: Family::default(),
            attempts: Family::default(),
            attempt: Family::new_with_constructor(long_histogram),
            phases: Family::new_with_constructor(long_histogram),
            leases_expired: Counter::default(),
            plan: Histogram::new(PLAN_BOUNDS),
            log_bytes: Counter::default(),
        };
        for architecture in architectures {
            for state in BuildStatus::ALL {
                this.state(architecture, *state).set(0);
            }
            let label = ArchitectureLabel::from(architecture);
            this.oldest_ready.get_or_create(&label).set(0.0);
            drop(this.queued.get_or_create(&label));
            drop(this.objective_exceeded.get_or_create(&label));
        }
        for kind in FailureKind::ALL {
            let labels = AttemptLabels::of(AttemptStatus::Failed, Some(*kind));
            drop(this.attempts.get_or_create(&labels));
        }
        for status in [
            AttemptStatus::Succeeded,
            AttemptStatus::Failed,
            AttemptStatus::Lost,
        ] {
            if status != AttemptStatus::Failed {
                drop(
                    this.attempts
                        .get_or_create(&AttemptLabels::of(status, None)),
                );
            }
            let result = status.as_str();
            drop(this.attempt.get_or_create(&ResultLabel { result }));
        }
        for phase in Phase::ALL {
            drop(this.phases.get_or_create(&phase.label()));
        }
        this
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "builds",
            "Builds of current iterations by state",
            self.builds.clone(),
        );
        registry.register_with_unit(
            "oldest_ready",
            "How long the oldest ready build has been waiting; 0 without one",
            Unit::Seconds,
            self.oldest_ready.clone(),
        );
        registry.register_with_unit(
            "build_queue",
            "How long builds were ready before they were dispatched",
            Unit::Seconds,
            self.queued.clone(),
        );
        registry.register_with_unit(
            "dispatch_lag",
            "How long a ready build and a free worker waited for each other",
            Unit::Seconds,
            self.dispatch_lag.clone(),
        );
        registry.register(
            "queue_objective_exceeded",
            "Builds that were ready for longer than --queue-objective-seconds while a worker was free",
            self.objective_exceeded.clone(),
        );
        registry.register("attempts", "Attempts that ended", self.attempts.clone());
        registry.register_with_unit(
            "attempt",
            "How long attempts took from dispatch to outcome",
            Unit::Seconds,
            self.attempt.clone(),
        );
        registry.register_with_unit(
            "attempt_phase",
            "How long each phase of attempts took",
            Unit::Seconds,
            self.phases.clone(),
        );
        registry.register(
            "leases_expired",
            "Attempts whose worker sent no heartbeat in time",
            self.leases_expired.clone(),
        );
        registry.register_with_unit(
            "plan",
            "How long planning one architecture took",
            Unit::Seconds,
            self.plan.clone(),
        );
        registry.register_with_unit(
            "log",
            "Bytes of build logs that were received",
            Unit::Bytes,
            self.log_bytes.clone(),
        );
    }

    fn state(&self, architecture: &Architecture, state: BuildStatus) -> Gauge {
        let labels = BuildLabels {
            architecture: architecture.to_string(),
            state: state.as_str(),
        };
        self.builds.get_or_create_owned(&labels)
    }

    /// Sets the gauges of the builds. What is not counted is 0.
    pub(crate) fn set_counts(
        &self,
        architectures: &[Architecture],
        counts: &BTreeMap<Architecture, ArchitectureCounts>,
    ) {
        let none = ArchitectureCounts::default();
        for architecture in architectures {
            let counts = counts.get(architecture).unwrap_or(&none);
            for state in BuildStatus::ALL {
                let builds = counts.states.get(state).copied().unwrap_or_default();
                self.state(architecture, *state).set(builds);
            }
            let label = ArchitectureLabel::from(architecture);
            let seconds = counts.oldest.unwrap_or_default().as_secs_f64();
            self.oldest_ready.get_or_create(&label).set(seconds);
        }
    }

    /// Records builds that were assigned.
    pub(crate) fn dispatched(&self, dispatched: &[Dispatched]) {
        for build in dispatched {
            let label = ArchitectureLabel::from(&build.architecture);
            let queued = self.queued.get_or_create(&label);
            queued.observe(build.queued.as_secs_f64());
        }
    }

    /// Records for how long a build and a worker waited for each other.
    pub(crate) fn dispatch_lag(&self, lag: Duration) {
        self.dispatch_lag.observe(lag.as_secs_f64());
    }

    /// Records attempts that ended.
    pub(crate) fn record_ended(&self, attempts: &[EndedAttempt]) {
        for attempt in attempts {
            let labels = AttemptLabels::of(attempt.status, attempt.failure);
            self.attempts.get_or_create(&labels).inc();
            let total = attempt.start.unwrap_or_default() + attempt.build.unwrap_or_default();
            let result = attempt.status.as_str();
            let all = self.attempt.get_or_create(&ResultLabel { result });
            all.observe(total.as_secs_f64());
            for (phase, took) in [(Phase::Start, attempt.start), (Phase::Build, attempt.build)] {
                if let Some(took) = took {
                    self.phase(phase, took);
                }
            }
        }
    }

    /// Records the duration of a phase of an attempt.
    pub(crate) fn phase(&self, phase: Phase, took: Duration) {
        let histogram = self.phases.get_or_create(&phase.label());
        histogram.observe(took.as_secs_f64());
    }

    /// Records a lease that expired.
    pub(crate) fn lease_expired(&self) {
        self.leases_expired.inc();
    }

    /// Records a build that was ready for too long while a worker was free.
    pub(crate) fn objective_exceeded(&self, architecture: &Architecture) {
        let label = ArchitectureLabel::from(architecture);
        self.objective_exceeded.get_or_create(&label).inc();
    }

    /// Records a received piece of a log.
    pub(crate) fn logged(&self, bytes: usize) {
        self.log_bytes.inc_by(saturating(bytes));
    }

    /// Returns the histogram of the time that plans take.
    pub(crate) fn plan_seconds(&self) -> Histogram {
        self.plan.clone()
    }
}
