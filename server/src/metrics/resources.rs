//! Metrics of what the server uses: connections, disk, and the async runtime.

use buildbtw_metrics::Space;
use buildbtw_model::saturating;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What takes space in the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageKind {
    /// The database with its write-ahead log.
    Database,
    /// Packages in repositories, with the databases of those.
    Repositories,
    /// Packages of attempts that are not published yet.
    Uploads,
    /// Logs and PKGBUILDs of attempts.
    Logs,
}

impl StorageKind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Database,
        Self::Repositories,
        Self::Uploads,
        Self::Logs,
    ];

    fn label(self) -> KindLabel {
        let kind = match self {
            Self::Database => "database",
            Self::Repositories => "repositories",
            Self::Uploads => "uploads",
            Self::Logs => "logs",
        };
        KindLabel { kind }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Metrics of resources.
#[derive(Debug)]
pub(crate) struct ResourceMetrics {
    storage: Family<KindLabel, Gauge>,
    disk_total: Gauge,
    disk_available: Gauge,
    disk_reserve: Gauge,
    streams: Gauge,
    connections: Gauge,
    claims: Gauge,
    tasks: Gauge,
    queued_tasks: Gauge,
    unread: Counter,
    ready: Gauge,
}

impl ResourceMetrics {
    pub(crate) fn new() -> Self {
        let storage = Family::<KindLabel, Gauge>::default();
        for kind in StorageKind::ALL {
            drop(storage.get_or_create(&kind.label()));
        }
        Self {
            storage,
            disk_total: Gauge::default(),
            disk_available: Gauge::default(),
            disk_reserve: Gauge::default(),
            streams: Gauge::default(),
            connections: Gauge::default(),
            claims: Gauge::default(),
            tasks: Gauge::default(),
            queued_tasks: Gauge::default(),
            unread: Counter::default(),
            ready: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "storage",
            "Bytes in the data folder by kind, measured every few minutes",
            Unit::Bytes,
            self.storage.clone(),
        );
        registry.register_with_unit(
            "disk_size",
            "Size of the file system of the data folder",
            Unit::Bytes,
            self.disk_total.clone(),
        );
        registry.register_with_unit(
            "disk_available",
            "Free space of the file system of the data folder",
            Unit::Bytes,
            self.disk_available.clone(),
        );
        registry.register_with_unit(
            "disk_reserve",
            "Free space that --disk-reserve-mib keeps: with less, uploads and dispatch wait",
            Unit::Bytes,
            self.disk_reserve.clone(),
        );
        registry.register(
            "streams",
            "Open streams of events and logs",
            self.streams.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "waiting_claims",
            "Claims of workers that wait for a build",
            self.claims.clone(),
        );
        registry.register(
            "runtime_tasks",
            "Tasks of the async runtime",
            self.tasks.clone(),
        );
        registry.register(
            "runtime_queued_tasks",
            "Tasks that wait in the runtime's global queue",
            self.queued_tasks.clone(),
        );
        registry.register(
            "metrics_read_failures",
            "How often the figures of gauges could not be read from the database",
            self.unread.clone(),
        );
        registry.register(
            "ready",
            "Whether the server is ready: see /readyz",
            self.ready.clone(),
        );
    }

    /// Sets the measured sizes.
    pub(crate) fn set_storage(&self, kind: StorageKind, bytes: u64) {
        self.storage
            .get_or_create(&kind.label())
            .set(saturating(bytes));
    }

    /// Sets the space of the disk, and its reserve in bytes.
    pub(crate) fn set_disk(&self, space: Space, reserve: u64) {
        self.disk_reserve.set(saturating(reserve));
        self.disk_total.set(saturating(space.total));
        self.disk_available.set(saturating(space.available));
    }

    /// Sets the numbers of open streams and connections, and of claims that wait.
    pub(crate) fn set_open(&self, streams: usize, connections: usize, claims: usize) {
        self.streams.set(saturating(streams));
        self.connections.set(saturating(connections));
        self.claims.set(saturating(claims));
    }

    /// Sets the figures of the async runtime.
    pub(crate) fn set_runtime(&self, runtime: &tokio::runtime::RuntimeMetrics) {
        self.tasks.set(saturating(runtime.num_alive_tasks()));
        self.queued_tasks
            .set(saturating(runtime.global_queue_depth()));
    }

    /// Sets whether the server is ready.
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    /// Records that figures could not be read.
    pub(crate) fn unread(&self) {
        self.unread.inc();
    }
}
