//! A span as our programs describe it.

use std::borrow::Cow;
use std::time::SystemTime;

use buildbtw_model::{SpanId, TraceId};
use opentelemetry::trace::{self, SpanContext, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// What a span is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside of a program.
    Internal,
    /// A request that a server answered.
    Server,
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The span that it is part of; the root of a trace has none.
    pub parent: Option<SpanId>,
    /// Whether another program created that span.
    pub is_parent_remote: bool,
    /// Its name, one of few.
    pub name: Cow<'static, str>,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// Its attributes.
    pub attributes: Vec<KeyValue>,
    /// Why it failed, if it did.
    pub error: Option<Cow<'static, str>>,
}

impl Span {
    /// Converts it for the exporter.
    pub(super) fn into_data(self, scope: InstrumentationScope) -> SpanData {
        let context = SpanContext::new(
            trace_id(self.trace),
            span_id(self.id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        SpanData {
            span_context: context,
            parent_span_id: self.parent.map_or(trace::SpanId::INVALID, span_id),
            parent_span_is_remote: self.is_parent_remote,
            span_kind: match self.kind {
                SpanKind::Internal => trace::SpanKind::Internal,
                SpanKind::Server => trace::SpanKind::Server,
            },
            name: self.name,
            start_time: self.start,
            // The wall clock may have been set back.
            end_time: self.end.max(self.start),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope,
        }
    }
}

pub(super) fn trace_id(id: TraceId) -> trace::TraceId {
    trace::TraceId::from_bytes(id.to_bytes())
}

pub(super) fn span_id(id: SpanId) -> trace::SpanId {
    trace::SpanId::from_bytes(id.to_bytes())
}
