//! Packages that are there already, and when they are good enough.

use buildbtw_model::BuildStatus;
use buildbtw_model::api::{BuildSummary, CreateIteration};

use crate::support::{SourceTree, Srcinfo, TestServer, eventually, new_namespace, parse};

/// `libgreet` <- `greet`.
fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

/// Status and version of `greet` once it has packages.
async fn finished_greet(server: &TestServer, namespace: &str) -> (BuildStatus, String) {
    let build: BuildSummary = eventually("greet has packages", async || {
        let build = server.build(namespace, "greet").await;
        build.status.has_packages().then_some(build)
    })
    .await;
    (build.status, build.version.to_string())
}

#[tokio::test]
async fn carried_over_packages_never_go_back_to_an_older_release() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let a = server.namespace("a", &["libgreet/main"]).await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    // The same commits in two namespaces, planned before either is built: only one of them has
    // built greet before.
    server.sources.push(&Srcinfo::new("libgreet", "3.0-1"));
    server.source_at("libgreet", "3.0-1").await;
    eventually("a follows", async || {
        (server.iteration("a").await.summary.number == 2).then_some(())
    })
    .await;
    server.namespace("b", &["libgreet/main"]).await;
    for _ in 0..4 {
        worker.claims().await.succeeds().await;
    }
    let built = |version: &str| (BuildStatus::Built, version.to_owned());
    assert_eq!(finished_greet(&server, "a").await, built("1.0-1.2"));
    assert_eq!(finished_greet(&server, "b").await, built("1.0-1.1"));

    let request = CreateIteration::default();
    server.admin().create_iteration(&a, request).await.unwrap();
    assert_eq!(
        finished_greet(&server, "a").await,
        (BuildStatus::Reused, "1.0-1.2".to_owned())
    );
}

#[tokio::test]
async fn packages_without_a_bump_do_not_stand_in_for_bumped_ones() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let mut plain = new_namespace(&["libgreet/main"]);
    plain.name = Some(parse("plain"));
    plain.no_bump = true;
    server.admin().create_namespace(&plain).await.unwrap();
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    assert_eq!(finished_greet(&server, "plain").await.1, "1.0-1");

    // The origin keeps its version in both, so it is as good here; the dependent would not install
    // over the one there is.
    server.namespace("bumped", &["libgreet/main"]).await;
    worker.builds("greet").await;
    assert_eq!(
        finished_greet(&server, "bumped").await,
        (BuildStatus::Built, "1.0-1.1".to_owned())
    );
    let libgreet = server.build("bumped", "libgreet").await;
    assert_eq!(libgreet.status, BuildStatus::Reused);
    // Nor the other way round.
    plain.name = Some(parse("plain-2"));
    server.admin().create_namespace(&plain).await.unwrap();
    assert_eq!(
        finished_greet(&server, "plain-2").await,
        (BuildStatus::Reused, "1.0-1".to_owned())
    );
}
