//! Who learns what happens to spans.

use std::fmt;

/// Observes what happens to spans, for metrics.
pub trait SpanObserver: fmt::Debug + Send + Sync {
    /// Records that the collector has accepted this many spans.
    fn exported(&self, spans: usize);

    /// Records that this many spans are lost, because the collector did not accept them in time.
    fn failed(&self, spans: usize);

    /// Records that a span is lost, because too many wait.
    fn dropped(&self);
}
