//! What server, worker and executor share to serve metrics: the figures of the process, histograms with common
//! buckets, the OpenMetrics text, and an address of its own for it.
//!
//! Names follow OpenMetrics: base units (seconds, bytes), and a prefix per program. No metric has a label whose values
//! grow with the number of packages or builds.

mod disk;
mod process;
mod serve;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use axum::Router;
pub use disk::{Space, space};
pub use serve::{ListenError, listen, page, router, serve};

/// The media type of the text (OpenMetrics 1.0, "Protocol Negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of seconds or ratios.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// Histograms of one name, by labels.
pub type Histograms<L> = Family<L, Histogram>;

/// Bounds for requests and writes, in seconds.
const SHORT: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounds for builds and for what waits for them, in seconds.
const LONG: [f64; 15] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0,
    86_400.0,
];

/// Creates a histogram for requests and writes: from half a millisecond to ten seconds.
#[must_use]
pub fn short_histogram() -> Histogram {
    Histogram::new(SHORT)
}

/// Creates a histogram for builds: from a tenth of a second to a day.
#[must_use]
pub fn long_histogram() -> Histogram {
    Histogram::new(LONG)
}

/// Labels of the program's version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildInfo {
    version: &'static str,
}

/// Creates a registry with the figures of the process, and calls `register` with the part of it whose names begin
/// with `prefix`. That part has an info metric with the version of the program.
pub fn registry(
    prefix: &str,
    version: &'static str,
    register: impl FnOnce(&mut Registry),
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::Process::new()));
    let own = registry.sub_registry_with_prefix(prefix);
    let info = Info::new(BuildInfo { version });
    own.register("build", "The version of the program", info);
    register(own);
    registry
}

/// Encodes all metrics of a registry as OpenMetrics text.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut text = String::with_capacity(32 * 1024);
    // Writing to a string cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_process_and_own_metrics() {
        let gauge = FloatGauge::default();
        let registered = gauge.clone();
        let registry = registry("buildbtw_test", "1.2.3", |own| {
            own.register("depth", "How deep it is", registered);
        });
        gauge.set(1.5);
        let text = encode(&registry);
        for line in [
            "buildbtw_test_build_info{version=\"1.2.3\"} 1",
            "buildbtw_test_depth 1.5",
            "# TYPE process_cpu_seconds counter",
            "# TYPE process_open_fds gauge",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn has_growing_bounds() {
        for bounds in [&SHORT[..], &LONG[..]] {
            assert!(bounds.is_sorted_by(|less, more| less < more));
        }
    }
}
