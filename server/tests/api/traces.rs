//! The trace of requests and builds: named by the header of requests, in responses and errors, and exported to a
//! collector.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use buildbtw_model::{AttemptId, FailureKind, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;

use crate::support::{ServerOptions, SourceTree, Srcinfo, TestServer, eventually, parse, reported};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

/// A collector of traces.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Collected>>);

#[derive(Default)]
struct Collected {
    spans: Vec<Span>,
    services: Vec<String>,
    authorizations: Vec<String>,
}

impl Collector {
    /// Starts it, and returns its URL.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(collect))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    /// Waits for a span of a trace, and returns all of that trace.
    async fn trace_with(&self, trace: TraceId, name: &str) -> Vec<Span> {
        eventually(&format!("span `{name}` of {trace}"), async || {
            let spans = self.trace(trace);
            spans.iter().any(|span| span.name == name).then_some(spans)
        })
        .await
    }

    fn trace(&self, trace: TraceId) -> Vec<Span> {
        let collected = self.0.lock().unwrap();
        let spans = collected.spans.iter();
        spans
            .filter(|span| span.trace_id == trace.to_bytes())
            .cloned()
            .collect()
    }
}

async fn collect(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut collected = collector.0.lock().unwrap();
    let authorization = headers.get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    collected.authorizations.extend(authorization);
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let service = attributes
            .into_iter()
            .find(|pair| pair.key == "service.name");
        let service = service.and_then(|pair| pair.value?.value);
        if let Some(Value::StringValue(name)) = service {
            collected.services.push(name);
        }
        let scopes = resource.scope_spans.into_iter();
        collected.spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    StatusCode::OK
}

/// Starts a server that exports traces.
async fn traced_server(collector: &Collector, more: &[(&'static str, &str)]) -> TestServer {
    let mut otlp = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.start().await),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
    ];
    otlp.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let options = ServerOptions {
        otlp,
        ..ServerOptions::default()
    };
    TestServer::start_with(options, pair).await
}

/// Returns the only span with a name.
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no span `{name}`"));
    assert!(found.next().is_none(), "several spans `{name}`");
    first
}

/// Returns the names of spans and how often each occurs.
fn names(spans: &[Span]) -> BTreeMap<&str, usize> {
    let mut names = BTreeMap::new();
    for span in spans {
        *names.entry(span.name.as_str()).or_default() += 1;
    }
    names
}

#[tokio::test]
async fn names_the_trace_of_a_request_in_its_response() {
    let server = TestServer::start(pair).await;
    let id = async |path: &str, parent: Option<&str>| {
        let mut request = server.request(Method::GET, path);
        if let Some(parent) = parent {
            request = request.header("traceparent", parent);
        }
        let response = request.send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap();
        let _: TraceId = id.parse().unwrap();
        id.to_owned()
    };
    for path in [
        "/",
        "/api/v1/namespaces",
        "/nowhere",
        "/healthz",
        "/repo/a/b/c/d",
    ] {
        assert_eq!(id(path, Some(PARENT)).await, TRACE, "{path}");
        let (first, second) = (id(path, None).await, id(path, Some("00-0-0-01")).await);
        assert_ne!(first, second, "{path}");
    }
}

#[tokio::test]
async fn names_the_trace_in_errors_of_the_server() {
    let server = TestServer::start(pair).await;
    server
        .change_schema("alter table namespace rename to lost")
        .await;
    let request = server.request(Method::GET, "/api/v1/namespaces");
    let response = request.header("traceparent", PARENT).send().await.unwrap();
    assert_eq!(response.status(), 500);
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["trace_id"], TRACE);
    assert!(
        problem["hint"].as_str().unwrap().contains(TRACE),
        "{problem}"
    );
    let request = server.request(Method::GET, "/");
    let response = request.header("traceparent", PARENT).send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(response.text().await.unwrap().contains(TRACE));
    // Errors of the caller do not need the server's log.
    let request = server.request(Method::GET, "/api/v1/nowhere");
    let problem: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert!(problem.get("trace_id").is_none(), "{problem}");
}

#[tokio::test]
async fn joins_requests_of_an_attempt_with_its_id() {
    let server = TestServer::start(pair).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.claims_build_of("libgreet").await;
    job.starts().await;
    let attempt = job.claimed.attempt;
    let trace = TraceId::from(attempt).to_string();
    // Without the header, as builders of earlier versions send it.
    let path = format!("/api/v1/attempts/{attempt}/heartbeat");
    let beat = server.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(beat.headers()["x-request-id"], trace.as_str());
    let build = server.build("bump", "libgreet").await;
    let detail = server.public().build(build.id).await.unwrap();
    assert_eq!(detail.attempts[0].trace_id, Some(TraceId::from(attempt)));
    let page = server.request(Method::GET, &format!("/builds/{}", build.id));
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&trace), "the page does not show {trace}");
}

#[tokio::test]
async fn exports_a_build_from_claim_to_publication() {
    let collector = Collector::default();
    let more = [
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20secret",
        ),
        ("OTEL_SERVICE_NAME", "rebuilds"),
    ];
    let server = traced_server(&collector, &more).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.builds("libgreet").await;
    let attempt = job.claimed.attempt;
    let spans = collector.trace_with(attempt.into(), "attempt").await;
    let root = one(&spans, "attempt");
    assert_eq!(root.span_id, SpanId::root_of(attempt).to_bytes());
    assert!(root.parent_span_id.is_empty());
    for name in ["claim", "dispatch", "build", "publish"] {
        let span = one(&spans, name);
        assert_eq!(span.parent_span_id, root.span_id, "{name}");
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(start <= end, "{name}");
        assert!(start >= root.start_time_unix_nano, "{name}");
        assert!(end <= root.end_time_unix_nano, "{name}");
    }
    let outcome = "PUT /api/v1/attempts/{id}/outcome";
    let spans = collector.trace_with(attempt.into(), outcome).await;
    for name in ["upload", outcome] {
        assert_eq!(one(&spans, name).parent_span_id, root.span_id, "{name}");
    }
    let collected = collector.0.lock().unwrap();
    assert!(collected.services.iter().all(|name| name == "rebuilds"));
    let mut authorizations = collected.authorizations.iter();
    assert!(authorizations.all(|value| value == "Bearer secret"));
}

#[tokio::test]
async fn keeps_the_trace_of_a_build_over_a_restart() {
    let collector = Collector::default();
    let mut server = traced_server(&collector, &[]).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    server.stop().await;
    let attempt: AttemptId = job.claimed.attempt;
    // Exported at shutdown.
    let before = collector.trace(attempt.into());
    assert_eq!(names(&before), BTreeMap::from([("upload", 1)]));
    server.start_again().await;
    let job = worker.at_server(server.url()).job(job.claimed);
    job.reports(&reported(&packages)).await.unwrap();
    let spans = collector.trace_with(attempt.into(), "attempt").await;
    let root = &one(&spans, "attempt").span_id;
    let part = |span: &&Span| span.name != "attempt";
    for span in spans.iter().filter(part) {
        assert_eq!(span.parent_span_id, *root, "{}", span.name);
    }
    for name in ["claim", "dispatch", "build", "upload", "publish"] {
        one(&spans, name);
    }
}

#[tokio::test]
async fn exports_a_failed_attempt_as_an_error() {
    let collector = Collector::default();
    let server = traced_server(&collector, &[]).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.claims_build_of("libgreet").await;
    job.fails(FailureKind::Package, "it does not compile").await;
    let spans = collector
        .trace_with(job.claimed.attempt.into(), "attempt")
        .await;
    let status = one(&spans, "attempt").status.as_ref().unwrap();
    assert_eq!(status.message, "package failure");
    assert!(!spans.iter().any(|span| span.name == "publish"));
}

#[tokio::test]
async fn decides_on_all_spans_of_an_attempt_alike() {
    let collector = Collector::default();
    let more = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let server = traced_server(&collector, &more).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.builds("libgreet").await;
    // The trace that another program records is recorded, and later than that of the attempt.
    let request = server.request(Method::GET, "/api/v1/namespaces");
    request.header("traceparent", PARENT).send().await.unwrap();
    let name = "GET /api/v1/namespaces";
    collector.trace_with(parse(TRACE), name).await;
    assert!(collector.trace(job.claimed.attempt.into()).is_empty());
}

#[tokio::test]
async fn builds_and_counts_lost_spans_without_a_collector() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let options = ServerOptions {
        otlp: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1".to_owned()),
        ],
        ..ServerOptions::default()
    };
    let mut server = TestServer::start_with(options, pair).await;
    server.namespace("bump", &["libgreet/main"]).await;
    server.worker("w").await.builds("libgreet").await;
    for result in ["failed", "dropped"] {
        let series = format!("buildbtw_otlp_spans_total{{result=\"{result}\"}} ");
        eventually(&series, async || {
            let request = server.request(Method::GET, "/metrics");
            let text = request.send().await.unwrap().text().await.unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(&series));
            line.is_some_and(|count| count != "0").then_some(())
        })
        .await;
    }
    server.stop().await;
}
