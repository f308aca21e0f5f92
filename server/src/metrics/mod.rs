//! The metrics of the server. Counters and histograms are changed where something happens, after the commit of what
//! they count; gauges are set when they are read ([`crate::service::read::metrics`]).
//!
//! Every gauge has a value from the start, so that an absent series means an absent server. Labels are states,
//! kinds, architectures, background tasks and workers; none grows with packages or builds.

pub(crate) mod actors;
pub(crate) mod builds;
pub(crate) mod database;
pub(crate) mod forge;
pub(crate) mod resources;
pub(crate) mod traces;
pub(crate) mod workers;

use std::sync::Arc;

use buildbtw_metrics::encode;
use buildbtw_model::Architecture;
use bytes::Bytes;
use prometheus_client::registry::Registry;

use crate::cached::Cached;

use actors::ActorMetrics;
use builds::BuildMetrics;
use database::DatabaseMetrics;
use forge::ForgeMetrics;
use resources::ResourceMetrics;
use traces::TraceMetrics;
use workers::WorkerMetrics;

/// The metrics of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Parts>);

/// See [`Metrics`].
#[derive(Debug)]
pub struct Parts {
    registry: Registry,
    text: Cached<Bytes>,
    /// Builds and attempts.
    pub(crate) builds: BuildMetrics,
    /// Workers.
    pub(crate) workers: WorkerMetrics,
    /// Requests to GitLab.
    pub(crate) forge: ForgeMetrics,
    /// Background tasks.
    pub(crate) actors: ActorMetrics,
    /// Connections, disk and runtime.
    pub(crate) resources: ResourceMetrics,
    /// Exported traces.
    pub(crate) traces: TraceMetrics,
}

impl std::ops::Deref for Metrics {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Default for Metrics {
    /// Creates metrics of no architecture and no database.
    fn default() -> Self {
        Self::new(&[], &DatabaseMetrics::default())
    }
}

impl Metrics {
    /// Creates the metrics of a server that builds for these architectures.
    #[must_use]
    pub fn new(architectures: &[Architecture], database: &DatabaseMetrics) -> Self {
        let builds = BuildMetrics::new(architectures);
        let workers = WorkerMetrics::new();
        let forge = ForgeMetrics::default();
        let actors = ActorMetrics::default();
        let resources = ResourceMetrics::new();
        let traces = TraceMetrics::default();
        let version = env!("CARGO_PKG_VERSION");
        let registry = buildbtw_metrics::registry("buildbtw", version, |registry| {
            builds.register(registry);
            workers.register(registry);
            database.register(registry);
            forge.register(registry);
            actors.register(registry);
            resources.register(registry);
            traces.register(registry);
        });
        Self(Arc::new(Parts {
            registry,
            text: Cached::default(),
            builds,
            workers,
            forge,
            actors,
            resources,
            traces,
        }))
    }

    /// Returns the text of all metrics. `refresh` sets the gauges; it does not run while the last text is fresh.
    pub(crate) async fn text(&self, refresh: impl Future<Output = ()>) -> Bytes {
        let text = async {
            refresh.await;
            Bytes::from(encode(&self.registry))
        };
        self.text.get(text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let architectures = ["x86_64", "aarch64"].map(|name| name.parse().unwrap());
        Metrics::new(&architectures, &DatabaseMetrics::default())
    }

    #[tokio::test]
    async fn names_the_unit_of_every_metric_with_one() {
        let text = metrics().text(std::future::ready(())).await;
        let text = std::str::from_utf8(&text).unwrap();
        let families = text.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            let units = ["seconds", "bytes"];
            let unit = units
                .iter()
                .find(|unit| name.ends_with(&format!("_{unit}")))?;
            Some(format!("# UNIT {name} {unit}"))
        });
        let expected: Vec<String> = families.collect();
        assert!(expected.len() > 15, "{expected:?}");
        for line in expected {
            assert!(text.lines().any(|own| own == line), "no {line}");
        }
    }

    #[tokio::test]
    async fn has_every_gauge_at_zero_from_the_start() {
        let text = metrics().text(std::future::ready(())).await;
        let text = std::str::from_utf8(&text).unwrap();
        let gauges = text.lines().filter_map(|line| {
            let name = line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")?;
            name.starts_with("buildbtw_").then_some(name)
        });
        let gauges: Vec<&str> = gauges.collect();
        assert!(gauges.len() > 15, "{gauges:?}");
        for gauge in gauges {
            // Its series are the workers that exist.
            if gauge == "buildbtw_worker_last_contact_timestamp_seconds" {
                continue;
            }
            let series = text.lines().filter(|line| {
                let rest = line.strip_prefix(gauge);
                rest.is_some_and(|rest| rest.starts_with([' ', '{']))
            });
            let values: Vec<&str> = series
                .map(|line| line.rsplit(' ').next().unwrap())
                .collect();
            assert!(!values.is_empty(), "{gauge} has no series");
            assert!(
                values.iter().all(|value| ["0", "0.0"].contains(value)),
                "{gauge}: {values:?}"
            );
        }
        for state in buildbtw_model::BuildStatus::ALL {
            for architecture in ["x86_64", "aarch64"] {
                let series = format!(
                    "buildbtw_builds{{architecture=\"{architecture}\",state=\"{state}\"}} 0"
                );
                assert!(text.lines().any(|line| line == series), "{series}");
            }
        }
    }
}
