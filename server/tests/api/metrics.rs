//! Metrics, health and readiness.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_model::api::{DrainWorker, ReadyResponse};
use buildbtw_model::{ClaimId, FailureKind};
use buildbtw_server::router::openapi_document;
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::disk_reserve::{restart, whole_disk_mib};
use crate::support::{SourceTree, Srcinfo, TestServer, eventually, failed, parse, start_server};

/// Pushes `libgreet` <- `greet`, and an unrelated package.
fn packages(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("other", "1.0-1"));
}

/// The values of all series, by name and labels as they are written.
type Series = BTreeMap<String, f64>;

async fn scrape(server: &TestServer) -> Series {
    let response = server
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    series(&response.text().await.unwrap())
}

fn series(text: &str) -> Series {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    parsed.collect()
}

/// Waits until a series has a value. Texts are served again for a second.
async fn expect(server: &TestServer, name: &str, value: f64) {
    let mut last = None;
    eventually(&format!("{name} is {value}"), async || {
        last = scrape(server).await.get(name).copied();
        (last == Some(value)).then_some(())
    })
    .await;
}

fn state(state: &str) -> String {
    format!("buildbtw_builds{{architecture=\"x86_64\",state=\"{state}\"}}")
}

#[tokio::test]
async fn counts_a_rebuild_from_its_plan_to_its_end() {
    let server = TestServer::start(packages).await;
    let before = scrape(&server).await;
    for name in ["blocked", "ready", "dispatched", "building", "built"] {
        assert_eq!(before[&state(name)], 0.0, "{name}");
    }
    assert_eq!(before["buildbtw_plan_seconds_count"], 0.0);
    server.namespace("bump", &["libgreet/main"]).await;
    expect(&server, &state("ready"), 1.0).await;
    expect(&server, &state("blocked"), 1.0).await;
    let planned = scrape(&server).await;
    assert!(planned["buildbtw_plan_seconds_count"] >= 1.0);
    let oldest = "buildbtw_oldest_ready_seconds{architecture=\"x86_64\"}";
    assert!(planned[oldest] < 3600.0);
    server.advance(Duration::from_secs(7200));
    eventually("the oldest build has waited for hours", async || {
        (scrape(&server).await[oldest] >= 7200.0).then_some(())
    })
    .await;

    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    expect(&server, &state("dispatched"), 1.0).await;
    job.starts().await;
    expect(&server, &state("building"), 1.0).await;
    let building = scrape(&server).await;
    assert_eq!(building[oldest], 0.0);
    assert_eq!(
        building["buildbtw_build_queue_seconds_count{architecture=\"x86_64\"}"],
        1.0
    );
    assert_eq!(building["buildbtw_dispatch_lag_seconds_count"], 1.0);
    assert_eq!(building["buildbtw_workers{state=\"busy\"}"], 1.0);
    assert!(building["buildbtw_worker_last_contact_timestamp_seconds{worker=\"w\"}"] > 1e9);
    job.succeeds().await;

    let job = worker.claims_build_of("greet").await;
    job.starts().await;
    job.reports(&failed(FailureKind::Package, "no"))
        .await
        .unwrap();
    expect(&server, &state("failed"), 1.0).await;
    let after = scrape(&server).await;
    assert_eq!(after[&state("built")], 1.0);
    let attempts = |result: &str, cause: &str| {
        after[&format!("buildbtw_attempts_total{{result=\"{result}\",cause=\"{cause}\"}}")]
    };
    assert_eq!(attempts("succeeded", "none"), 1.0);
    assert_eq!(attempts("failed", "package"), 1.0);
    assert_eq!(attempts("failed", "infrastructure"), 0.0);
    for (phase, count) in [("start", 2.0), ("build", 2.0), ("publish", 1.0)] {
        let name = format!("buildbtw_attempt_phase_seconds_count{{phase=\"{phase}\"}}");
        assert_eq!(after[&name], count, "{phase}");
    }
    assert!(after["buildbtw_database_writer_wait_seconds_count"] > 5.0);
    assert!(after["buildbtw_database_commit_seconds_count"] > 5.0);
    assert!(after["buildbtw_database_writer_busy_seconds_total"] > 0.0);
}

#[tokio::test]
async fn counts_drained_workers_as_states_of_their_own() {
    let server = TestServer::start(packages).await;
    server.namespace("bump", &["other/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("other").await;
    job.starts().await;
    let (admin, name) = (server.admin(), parse("w"));
    let drain = DrainWorker::default();
    admin.drain_worker(&name, &drain).await.unwrap();
    let of = |state: &str| format!("buildbtw_workers{{state=\"{state}\"}}");
    expect(&server, &of("draining"), 1.0).await;
    assert_eq!(scrape(&server).await["buildbtw_slots"], 1.0);
    job.succeeds().await;
    expect(&server, &of("drained"), 1.0).await;
    let drained = scrape(&server).await;
    for state in ["free", "building", "busy", "draining", "silent"] {
        assert_eq!(drained[&of(state)], 0.0, "{state}");
    }
    assert_eq!(drained["buildbtw_slots"], 0.0);
    admin.resume_worker(&name).await.unwrap();
    expect(&server, &of("free"), 1.0).await;
}

#[tokio::test]
async fn names_no_package_in_metrics() {
    let server = TestServer::start(packages).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let text = server
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    assert_eq!(
        text.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = text.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"));
    for name in ["libgreet", "greet", "bump"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[tokio::test]
async fn counts_expired_leases() {
    let server = TestServer::start(packages).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.claims_build_of("libgreet").await;
    server.expire_leases();
    expect(&server, "buildbtw_leases_expired_total", 1.0).await;
    let lost = "buildbtw_attempts_total{result=\"lost\",cause=\"lease\"}";
    expect(&server, lost, 1.0).await;
}

#[tokio::test]
async fn counts_builds_that_wait_although_a_worker_is_free() {
    let mut server = TestServer::start(packages).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    // Nothing is dispatched while the disk is below its reserve.
    let objective = ["--queue-objective-seconds", "1"];
    server.options.extra.extend(objective.map(str::to_owned));
    let reserve = whole_disk_mib(&server);
    restart(&mut server, reserve).await;
    let worker = worker.at_server(server.url());
    let waiting = tokio::spawn(async move { worker.claims_once(ClaimId::new(), 60).await });
    let exceeded = "buildbtw_queue_objective_exceeded_total{architecture=\"x86_64\"}";
    expect(&server, exceeded, 1.0).await;
    assert_eq!(scrape(&server).await["buildbtw_waiting_claims"], 1.0);
    waiting.abort();
}

#[tokio::test]
async fn measures_its_storage_and_disk() {
    let server = TestServer::start(packages).await;
    let name = "buildbtw_storage_bytes{kind=\"database\"}";
    eventually("the database is measured", async || {
        (scrape(&server).await[name] > 0.0).then_some(())
    })
    .await;
    let found = scrape(&server).await;
    assert!(found["buildbtw_disk_available_bytes"] <= found["buildbtw_disk_size_bytes"]);
    assert!(found["buildbtw_connections"] >= 1.0);
    assert!(found["process_resident_memory_bytes"] > 0.0);
}

#[tokio::test]
async fn is_healthy_and_ready_once_it_serves() {
    let server = TestServer::start(packages).await;
    let health = server
        .request(Method::GET, "/healthz")
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(health.text().await.unwrap(), "ok\n");
    let ready = server.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(ready.headers()["cache-control"], "no-store");
    let ready: ReadyResponse = ready.json().await.unwrap();
    let names: Vec<&str> = ready
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert!(ready.ready && ready.checks.iter().all(|check| check.ok));
    assert_eq!(
        names,
        ["writer", "disk", "migrations", "sources", "shutdown"]
    );
    expect(&server, "buildbtw_ready", 1.0).await;
}

#[tokio::test]
async fn serves_metrics_at_their_own_address_only() {
    let mut server = TestServer::start(packages).await;
    let mut arguments = server.arguments();
    server.stop().await;
    arguments.extend(["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let shutdown = CancellationToken::new();
    let started = start_server(&arguments, shutdown.clone()).await.unwrap();
    let (own, main) = (started.metrics_address.unwrap(), started.address);
    let serving = tokio::spawn(started.serve());
    let get = async |address: std::net::SocketAddr, path: &str| {
        let response = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        (response.status(), response.text().await.unwrap())
    };
    let (status, text) = get(own, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(series(&text).contains_key(&state("ready")));
    assert_eq!(get(main, "/metrics").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(own, "/healthz").await.0, StatusCode::OK);
    assert_eq!(get(main, "/healthz").await.0, StatusCode::OK);
    // The server was not ready yet when its metrics were first read.
    eventually("the server is ready", async || {
        (get(own, "/readyz").await.0 == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(get(main, "/readyz").await.0, StatusCode::OK);
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn describes_what_monitoring_asks_for() {
    let server = TestServer::start(packages).await;
    let document: serde_json::Value = serde_json::from_str(openapi_document()).unwrap();
    let base = format!("{}/api/v1/openapi.json", server.url());
    for path in ["/healthz", "/metrics", "/readyz"] {
        let item = &document["paths"][path];
        assert_eq!(item["get"]["security"], serde_json::json!([]), "{path}");
        let own = item["get"]["servers"][0]["url"].as_str().unwrap();
        let place = reqwest::Url::parse(&base).unwrap().join(own).unwrap();
        let url = format!("{}{path}", place.as_str().trim_end_matches('/'));
        let response = reqwest::get(&url).await.unwrap();
        let status = response.status().as_u16().to_string();
        let kind = response.headers()[reqwest::header::CONTENT_TYPE]
            .to_str()
            .unwrap();
        let described = &item["get"]["responses"][&status]["content"][kind];
        assert!(described.is_object(), "{url}: {status} {kind}");
    }
}
