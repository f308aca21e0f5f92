//! Records spans and has them exported.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use buildbtw_model::{Explanation, TraceId, TraceParent};
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt as _, TraceFlags, TraceState};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SamplingDecision, ShouldSample, SpanExporter as _, SpanProcessor,
};
use tokio::runtime::Handle;

use super::client::RuntimeClient;
use super::exporter::{CountingExporter, Shared};
use super::observer::SpanObserver;
use super::settings::OtlpSettings;
use super::span::{Span, span_id, trace_id};
use crate::spawn_blocking_named;

/// Records spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    processor: BatchSpanProcessor,
    sampler: Box<dyn ShouldSample>,
    scope: InstrumentationScope,
    shared: Arc<Shared>,
    max_queued: usize,
}

impl Traces {
    /// Starts to export spans of a program, on the current runtime.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn start(
        settings: &OtlpSettings,
        program: &'static str,
        version: &'static str,
    ) -> Result<Self, Explanation> {
        let shared = Arc::new(Shared::new(settings.endpoint()));
        let http = settings.http_client()?;
        let client = RuntimeClient::new(http, Handle::current(), Arc::clone(&shared));
        let mut exporter = CountingExporter {
            inner: settings.exporter(client)?,
            shared: Arc::clone(&shared),
        };
        exporter.set_resource(&settings.resource(program, version));
        tracing::info!(endpoint = settings.endpoint(), "exporting traces");
        Ok(Self(Arc::new(Inner {
            processor: BatchSpanProcessor::new(exporter, settings.batches()),
            sampler: settings.sampler(),
            scope: InstrumentationScope::builder(program)
                .with_version(version)
                .build(),
            shared,
            max_queued: settings.max_queued(),
        })))
    }

    /// Has an observer learn what happens to spans. Only the first one is used.
    pub fn observe(&self, observer: Arc<dyn SpanObserver>) {
        // A second one would count twice.
        let _ = self.0.shared.observer.set(observer);
    }

    /// Returns whether a trace that begins in this program is recorded.
    #[must_use]
    pub fn records(&self, trace: TraceId) -> bool {
        self.decide(None, trace)
    }

    /// Returns whether this program records its part of a trace that another one began.
    #[must_use]
    pub fn records_part_of(&self, parent: &TraceParent) -> bool {
        let flags = match parent.is_sampled {
            true => TraceFlags::SAMPLED,
            false => TraceFlags::default(),
        };
        let parent_context = SpanContext::new(
            trace_id(parent.trace),
            span_id(parent.span),
            flags,
            true,
            TraceState::NONE,
        );
        let context = Context::new().with_remote_span_context(parent_context);
        self.decide(Some(&context), parent.trace)
    }

    fn decide(&self, parent: Option<&Context>, trace: TraceId) -> bool {
        let kind = SpanKind::Internal;
        let sampler = &self.0.sampler;
        let result = sampler.should_sample(parent, trace_id(trace), "", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    /// Records a span. Does not wait: if too many are queued, it is dropped.
    pub fn record(&self, span: Span) {
        let Inner {
            processor,
            scope,
            shared,
            max_queued,
            ..
        } = &*self.0;
        // The processor has a queue of the same size, which is never fuller than this number, so it drops nothing.
        if shared.queued.fetch_add(1, Ordering::Relaxed) >= *max_queued {
            shared.queued.fetch_sub(1, Ordering::Relaxed);
            shared.observe(|observer| observer.dropped());
            return;
        }
        processor.on_end(span.into_data(scope.clone()));
    }

    /// Exports the queued spans, for no longer than a time, and ends.
    pub async fn shutdown(&self, deadline: Duration) {
        let this = self.clone();
        let stopped = spawn_blocking_named("trace shutdown", move || {
            this.0.processor.shutdown_with_timeout(deadline)
        });
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "not all traces were exported");
        }
    }
}
