//! The layer of all routes that gives each request its trace: for log lines, errors and responses, and recorded as a
//! span where traces are exported.

use std::time::{Duration, SystemTime};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use buildbtw_model::SpanId;
use buildbtw_telemetry::otlp::{KeyValue, Span, SpanKind, Traces};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::request_trace::RequestTrace;
use crate::state::AppState;

/// Frequent requests of which each says little. Those that fail are recorded.
const FREQUENT: [&str; 5] = [
    "/api/v1/attempts/{id}/heartbeat",
    "/api/v1/attempts/{id}/log",
    "/healthz",
    "/metrics",
    "/readyz",
];
/// A worker claims a build.
const CLAIM: &str = "/api/v1/attempts/claim";
/// A package is uploaded.
const UPLOAD: &str = "/api/v1/attempts/{id}/packages/{file}";

/// Answers a request within its trace.
pub(crate) async fn trace_request(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let trace = RequestTrace::of(&request);
    let span = span_of(&trace, &request);
    let recorded = state.traces.as_ref().map(|recorder| {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let start: Timestamp = state.clock.now().into();
        let method = request.method().clone();
        (recorder.traces.clone(), method, route, start.into())
    });
    let began = Instant::now();
    let answer = trace.answer(next.run(request));
    let mut response = answer.instrument(span.clone()).await;
    let took = began.elapsed();
    span.in_scope(|| {
        let (status, took_s) = (response.status().as_u16(), took.as_secs_f64());
        tracing::debug!(http.response.status_code = status, took_s, "responded");
    });
    trace.mark(&mut response);
    if let Some((traces, method, route, start)) = recorded {
        let answered = Answered {
            method,
            route,
            status: response.status(),
            start,
            took,
        };
        record(&traces, &trace, &answered);
    }
    response
}

/// Returns the span of a request's log lines. Its level is that of the most important ones, which are never without it.
fn span_of(trace: &RequestTrace, request: &Request) -> tracing::Span {
    let (method, path) = (request.method(), request.uri().path());
    match trace.attempt {
        Some(attempt) => tracing::error_span!(
            "request",
            trace_id = %trace.trace,
            attempt.id = %attempt,
            http.request.method = %method,
            url.path = path
        ),
        None => tracing::error_span!(
            "request",
            trace_id = %trace.trace,
            http.request.method = %method,
            url.path = path
        ),
    }
}

/// An answered request.
struct Answered {
    method: Method,
    route: Option<MatchedPath>,
    status: StatusCode,
    start: SystemTime,
    took: Duration,
}

/// Records a request as a span, if its trace is recorded and it says something.
fn record(traces: &Traces, trace: &RequestTrace, answered: &Answered) {
    let is_failed = answered.status.is_server_error();
    if (!answered.is_frequent() || is_failed) && is_recorded(traces, trace) {
        traces.record(span(trace, answered));
    }
}

impl Answered {
    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// Returns whether there are many such requests, of which each says little.
    fn is_frequent(&self) -> bool {
        let is_frequent_route = self.route().is_some_and(|route| FREQUENT.contains(&route));
        // A claim that got no build is repeated.
        let is_empty_claim = self.route() == Some(CLAIM) && self.status == StatusCode::NO_CONTENT;
        is_frequent_route || is_empty_claim
    }
}

/// Returns whether this server records its part of a trace.
fn is_recorded(traces: &Traces, trace: &RequestTrace) -> bool {
    match &trace.parent {
        // The trace of an attempt begins here, whatever its builder says about it.
        Some(parent) if !trace.is_of_attempt() => traces.records_part_of(parent),
        _ => traces.records(trace.trace),
    }
}

/// Returns the span of an answered request.
fn span(trace: &RequestTrace, answered: &Answered) -> Span {
    let code = answered.status.as_u16();
    let method = answered.method.to_string();
    let route = answered.route().map(str::to_owned);
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.response.status_code", i64::from(code)),
    ];
    attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
    let is_failed = answered.status.is_server_error();
    Span {
        trace: trace.trace,
        id: SpanId::random(),
        parent: trace.parent.map(|parent| parent.span),
        is_parent_remote: trace.parent.is_some(),
        name: name(&answered.method, answered.route()),
        kind: SpanKind::Server,
        start: answered.start,
        end: answered.start + answered.took,
        attributes,
        error: is_failed.then(|| format!("status {code}").into()),
    }
}

/// Returns the name of a request's span.
fn name(method: &Method, route: Option<&str>) -> std::borrow::Cow<'static, str> {
    match route {
        Some(UPLOAD) if *method == Method::PUT => "upload".into(),
        Some(route) => format!("{method} {route}").into(),
        None => method.to_string().into(),
    }
}
