//! When rebuilds are expected to end.

use std::time::Duration;

use buildbtw_model::NetworkPolicy;
use buildbtw_model::api::{CreateNamespace, IterationSummary};
use jiff::Timestamp;
use reqwest::Method;

use crate::support::{Job, ServerOptions, Srcinfo, TestServer, new_namespace, parse};

/// Returns a server whose clock only the test advances.
async fn server() -> TestServer {
    let options = ServerOptions {
        lease_seconds: 3_600,
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        for pkgbase in ["a", "b", "c"] {
            sources.push(&Srcinfo::new(pkgbase, "1.0-1"));
        }
    });
    let server = server.await;
    server.options.clock.freeze();
    server
}

/// Creates a namespace of all packages. Packages that were built with another network policy are not reused.
async fn create(server: &TestServer, name: &str, network: NetworkPolicy) {
    let request = CreateNamespace {
        name: Some(parse(name)),
        network: Some(network),
        ..new_namespace(&["a/main", "b/main", "c/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
}

/// Lets a claimed build succeed after some time.
async fn takes(server: &TestServer, job: &Job, seconds: u64) {
    job.starts().await;
    server.advance(Duration::from_secs(seconds));
    job.succeeds().await;
}

async fn summary(server: &TestServer, name: &str) -> IterationSummary {
    let overview = server
        .public()
        .iteration_overview(&parse(name), None)
        .await
        .unwrap();
    overview.summary
}

async fn page(server: &TestServer, name: &str) -> String {
    let request = server.request(Method::GET, &format!("/namespaces/{name}"));
    let response = request.send().await.unwrap();
    response.text().await.unwrap()
}

/// Returns in how many seconds an iteration is expected to end: at least, probably and at most.
fn range(server: &TestServer, summary: &IterationSummary) -> [i64; 3] {
    let now: Timestamp = server.options.clock.clock().now().into();
    [summary.eta_from, summary.eta, summary.eta_to]
        .map(|at| at.unwrap().duration_since(now).as_secs())
}

#[tokio::test]
async fn expected_end_is_unknown_until_a_build_has_ended() {
    let server = server().await;
    create(&server, "first", NetworkPolicy::Sources).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    let before = summary(&server, "first").await;
    let known = (before.eta_from, before.eta, before.eta_to);
    assert_eq!((known, before.unknown_durations), ((None, None, None), 3));
    let shown = page(&server, "first").await;
    assert!(shown.contains("3 of 3 durations unknown"), "{shown}");
    takes(&server, &job, 600).await;
    worker.claims().await;
    let after = summary(&server, "first").await;
    assert_eq!(after.unknown_durations, 2);
    assert_eq!(range(&server, &after), [1_200, 1_200, 1_200]);
    assert!(!server.build("first", "c").await.estimate_is_known);
}

#[tokio::test]
async fn expected_end_moves_with_the_builds_of_the_iteration() {
    let server = server().await;
    create(&server, "first", NetworkPolicy::Sources).await;
    let worker = server.worker("w").await;
    for _ in 0..3 {
        takes(&server, &worker.claims().await, 600).await;
    }
    let done = summary(&server, "first").await;
    assert_eq!((done.eta_to, done.unknown_durations), (None, 0));

    create(&server, "second", NetworkPolicy::None).await;
    let job = worker.claims().await;
    let before = summary(&server, "second").await;
    assert_eq!(before.unknown_durations, 0);
    assert_eq!(range(&server, &before), [1_200, 1_800, 2_700]);
    let shown = page(&server, "second").await;
    assert!(shown.contains(">in 20m to 45m</time>"), "{shown}");
    assert!(!shown.contains("durations unknown"), "{shown}");
    let build = server.build("second", "c").await;
    assert_eq!((build.estimate_s, build.estimate_is_known), (600, true));
    // One build that takes twice as long makes the others a sixth longer.
    takes(&server, &job, 1_200).await;
    worker.claims().await;
    let after = summary(&server, "second").await;
    assert_eq!(range(&server, &after), [932, 1_398, 2_098]);
}
