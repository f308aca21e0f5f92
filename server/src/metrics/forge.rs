//! Metrics of requests to GitLab.

use std::time::Duration;

use buildbtw_gitlab::{RateLimitState, RequestObserver};
use buildbtw_metrics::{Histograms, short_histogram};
use buildbtw_model::saturating;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    code: String,
}

/// Metrics of requests to GitLab. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ForgeMetrics {
    requests: Histograms<RequestLabels>,
    limit: Gauge,
    remaining: Gauge,
    webhooks: Gauge,
}

impl Default for ForgeMetrics {
    fn default() -> Self {
        Self {
            requests: Family::new_with_constructor(short_histogram),
            limit: Gauge::default(),
            remaining: Gauge::default(),
            webhooks: Gauge::default(),
        }
    }
}

impl ForgeMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "forge_request",
            "How long requests to GitLab took, by route and status; `error` without a response",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register(
            "forge_rate_limit",
            "The rate limit that GitLab reported; 0 if it reported none",
            self.limit.clone(),
        );
        registry.register(
            "forge_rate_limit_remaining",
            "How many requests the rate limit still allows; 0 if GitLab reported none",
            self.remaining.clone(),
        );
        registry.register(
            "webhook_inbox",
            "Webhooks that wait to be processed",
            self.webhooks.clone(),
        );
    }

    /// Sets the number of webhooks that wait.
    pub(crate) fn set_webhooks(&self, waiting: i64) {
        self.webhooks.set(waiting);
    }
}

impl RequestObserver for ForgeMetrics {
    fn sent(&self, route: &'static str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let requests = self.requests.get_or_create(&RequestLabels { route, code });
        requests.observe(took.as_secs_f64());
    }

    fn rate_limit(&self, state: RateLimitState) {
        if let Some(limit) = state.limit {
            self.limit.set(saturating(limit));
        }
        self.remaining.set(saturating(state.remaining));
    }
}
