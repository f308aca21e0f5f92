//! The trace of a request: the one that its sender names in `traceparent`, that of the attempt that it is about, or a
//! new one. Responses have it as `x-request-id`, errors of the server in their body, and log lines as a field.

use axum::http::{HeaderValue, Method, Request, Response};
use axum::response::IntoResponse;
use buildbtw_model::{AttemptId, SpanId, TraceId, TraceParent};
use tracing::Instrument as _;

/// The header of responses with the trace.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// Requests about an attempt.
const ATTEMPTS: &str = "/api/v1/attempts/";

tokio::task_local! {
    static CURRENT: TraceId;
}

/// Returns the trace of the request that this task answers, if it answers one.
pub(crate) fn current() -> Option<TraceId> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// Returns a future that belongs to the same request when it runs as a task of its own.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let trace = current();
    let future = future.in_current_span();
    async move {
        match trace {
            Some(trace) => CURRENT.scope(trace, future).await,
            None => future.await,
        }
    }
}

/// The trace of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestTrace {
    pub(crate) trace: TraceId,
    /// The span that sent the request, and whether its program records the trace.
    pub(crate) parent: Option<TraceParent>,
    /// The attempt that the request is about, if it is from a builder.
    pub(crate) attempt: Option<AttemptId>,
}

impl RequestTrace {
    /// Determines the trace of a request.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let attempt = attempt_of(request.method(), request.uri().path());
        let header = request.headers().get(TraceParent::HEADER);
        let sent = header.and_then(|header| header.to_str().ok()?.parse().ok());
        // Builders of earlier versions do not send it.
        let parent: Option<TraceParent> = sent.or_else(|| attempt.map(TraceParent::of));
        Self {
            trace: parent.map_or_else(TraceId::random, |parent| parent.trace),
            parent,
            attempt,
        }
    }

    /// Returns whether the request belongs to the trace of its attempt, which begins in this server.
    pub(crate) fn is_of_attempt(&self) -> bool {
        self.attempt
            .is_some_and(|attempt| TraceId::from(attempt) == self.trace)
    }

    /// Answers the request within its trace.
    pub(crate) async fn answer<F: Future>(self, answer: F) -> F::Output {
        CURRENT.scope(self.trace, answer).await
    }

    /// Refuses the request.
    pub(crate) fn refuse(self, error: impl IntoResponse) -> Response<axum::body::Body> {
        let mut response = CURRENT.sync_scope(self.trace, || error.into_response());
        self.mark(&mut response);
        response
    }

    /// Names the trace in the response.
    pub(crate) fn mark<B>(self, response: &mut Response<B>) {
        // Hexadecimal digits are valid in a header.
        if let Ok(value) = HeaderValue::try_from(self.trace.to_string()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
    }
}

/// Returns the attempt that a builder's request is about. People who read a log do not take part in the attempt.
fn attempt_of(method: &Method, path: &str) -> Option<AttemptId> {
    if !matches!(*method, Method::POST | Method::PUT) {
        return None;
    }
    let (_, rest) = path.split_once(ATTEMPTS)?;
    let attempt: AttemptId = rest.split('/').next()?.parse().ok()?;
    // The nil UUID is not a valid trace id (W3C Trace Context).
    let is_valid = TraceId::from_bytes(*attempt.as_bytes()).is_some()
        && SpanId::from_bytes(SpanId::root_of(attempt).to_bytes()).is_some();
    is_valid.then_some(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: &str = "0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn trace(method: Method, path: &str, parent: Option<&str>) -> RequestTrace {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(parent) = parent {
            request = request.header(TraceParent::HEADER, parent);
        }
        RequestTrace::of(&request.body(()).unwrap())
    }

    #[test]
    fn takes_trace_from_header_then_from_attempt() {
        let path = format!("/prefix/api/v1/attempts/{ATTEMPT}/log?offset=0");
        let sent = trace(Method::POST, &path, Some(PARENT));
        assert_eq!(sent.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(!sent.is_of_attempt() && !sent.parent.unwrap().is_sampled);
        for invalid in [None, Some("00-1-2-3"), Some("ü")] {
            let derived = trace(Method::POST, &path, invalid);
            assert_eq!(derived.trace.to_string(), ATTEMPT.replace('-', ""));
            assert!(derived.is_of_attempt());
        }
    }

    #[test]
    fn creates_a_trace_for_other_requests() {
        for path in [
            format!("/api/v1/attempts/{ATTEMPT}/log"),
            "/api/v1/namespaces".to_owned(),
        ] {
            let (first, second) = (
                trace(Method::GET, &path, None),
                trace(Method::GET, &path, None),
            );
            assert_ne!(first.trace, second.trace);
            assert_eq!((first.parent, first.attempt), (None, None));
        }
        let nil = "/api/v1/attempts/00000000-0000-0000-0000-000000000000/log";
        assert_eq!(trace(Method::POST, nil, None).attempt, None);
    }

    #[tokio::test]
    async fn carries_trace_into_another_task() {
        let request = trace(Method::GET, "/", None);
        let carried = request.answer(async { tokio::spawn(carried(async { current() })).await });
        assert_eq!(carried.await.unwrap(), Some(request.trace));
        assert_eq!(current(), None);
    }
}
