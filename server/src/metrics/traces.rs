//! Metrics of exported traces.

use buildbtw_telemetry::otlp::SpanObserver;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

const EXPORTED: &str = "exported";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// Metrics of exported traces. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TraceMetrics {
    spans: Family<ResultLabel, Counter>,
}

impl Default for TraceMetrics {
    fn default() -> Self {
        let this = Self {
            spans: Family::default(),
        };
        for result in [EXPORTED, FAILED, DROPPED] {
            this.count(result, 0);
        }
        this
    }
}

impl TraceMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "otlp_spans",
            "Recorded spans that were exported, that the collector did not accept, or that did not fit into the queue",
            self.spans.clone(),
        );
    }

    fn count(&self, result: &'static str, spans: usize) {
        let counter = self.spans.get_or_create(&ResultLabel { result });
        counter.inc_by(spans as u64);
    }
}

impl SpanObserver for TraceMetrics {
    fn exported(&self, spans: usize) {
        self.count(EXPORTED, spans);
    }

    fn failed(&self, spans: usize) {
        self.count(FAILED, spans);
    }

    fn dropped(&self) {
        self.count(DROPPED, 1);
    }
}
