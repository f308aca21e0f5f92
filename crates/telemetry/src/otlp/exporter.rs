//! Counts and reports what happens to spans, around the exporter of the library.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::observer::SpanObserver;

/// What the threads that record spans and the one that exports them share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The number of spans that are recorded and not exported yet.
    pub(super) queued: AtomicUsize,
    pub(super) observer: OnceLock<Arc<dyn SpanObserver>>,
    /// Whether the last export failed.
    is_failing: AtomicBool,
    /// Why the last request failed, which the library does not pass on.
    cause: Mutex<Option<String>>,
    /// Where traces are sent.
    endpoint: String,
}

impl Shared {
    pub(super) fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            ..Self::default()
        }
    }

    /// Remembers why a request failed, or that it did not.
    pub(super) fn requested(&self, cause: Option<String>) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Returns the cause of a failure, if it begins an outage.
    pub(super) fn beginning(&self, error: &OTelSdkError) -> Option<String> {
        if self.is_failing.swap(true, Ordering::Relaxed) {
            return None;
        }
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        Some(cause.clone().unwrap_or_else(|| error.to_string()))
    }

    /// Calls the observer, if there is one.
    pub(super) fn observe(&self, call: impl FnOnce(&dyn SpanObserver)) {
        if let Some(observer) = self.observer.get() {
            call(observer.as_ref());
        }
    }

    /// Logs the beginning and the end of an outage, not each failure.
    pub(super) fn note(&self, result: &OTelSdkResult, spans: usize) {
        match result {
            Ok(()) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(endpoint = self.endpoint, "traces are exported again");
                }
            }
            Err(error) => {
                if let Some(error) = self.beginning(error) {
                    let endpoint = &self.endpoint;
                    tracing::warn!(
                        endpoint,
                        error,
                        spans,
                        "cannot export traces; spans are lost"
                    );
                }
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct CountingExporter {
    pub(super) inner: OtlpExporter,
    pub(super) shared: Arc<Shared>,
}

impl SpanExporter for CountingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.shared.queued.fetch_sub(spans, Ordering::Relaxed);
        self.shared.note(&result, spans);
        self.shared.observe(|observer| match result {
            Ok(()) => observer.exported(spans),
            Err(_) => observer.failed(spans),
        });
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
