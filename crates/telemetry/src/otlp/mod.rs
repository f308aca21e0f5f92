//! Traces for OpenTelemetry: spans are exported with OTLP over HTTP, as the standard variables `OTEL_…` say.
//!
//! Spans are recorded when they have ended, with times and ids of their own: those of an attempt come from the
//! database, so that they are complete after a restart. Recording never waits. A bounded queue holds what is not
//! exported yet; what does not fit is dropped and counted.

mod client;
mod exporter;
mod observer;
mod settings;
mod span;
mod traces;

pub use observer::SpanObserver;
pub use opentelemetry::KeyValue;
pub use settings::OtlpSettings;
pub use span::{Span, SpanKind};
pub use traces::Traces;
