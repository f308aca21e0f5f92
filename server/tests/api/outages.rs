//! Outages of background tasks, on the home page and in the API.

use buildbtw_model::BackgroundTask;
use reqwest::{Method, StatusCode};

use crate::support::{ServerOptions, Srcinfo, TestServer, eventually};

/// Lets every removal of an iteration fail.
const BREAK: &str = "create trigger broken before delete on iteration
                     begin select raise(abort, 'broken by a test'); end";

async fn home(server: &TestServer) -> String {
    let response = server.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.unwrap()
}

/// Pushes a new version of the origin, so that one more iteration becomes superfluous.
async fn push(server: &TestServer, version: &str, number: u32) {
    server.sources.push(&Srcinfo::new("libgreet", version));
    eventually("a new iteration", async || {
        let newest = server.iteration("bump").await.summary.number;
        (newest == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn shows_outage_of_failing_task_until_it_recovers() {
    let options = ServerOptions {
        extra: vec!["--keep-iterations".into(), "1".into()],
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    let client = server.client(Some(server.token(buildbtw_model::TokenScope::Client).await));
    server.namespace("bump", &["libgreet/main"]).await;
    assert_eq!(client.outages().await.unwrap(), []);
    assert!(!home(&server).await.contains("Outage, started"));

    server.change_schema(BREAK).await;
    push(&server, "2.0-1", 2).await;
    let failing = eventually("an outage", async || client.outages().await.unwrap().pop()).await;
    assert_eq!(failing.task, BackgroundTask::Retention);
    assert_eq!(failing.title, "cannot remove old iterations");
    assert!(failing.message.contains("broken by a test"), "{failing:?}");
    assert_eq!(server.admin().outages().await.unwrap(), [failing]);
    let page = home(&server).await;
    assert!(page.contains("Outage, started"), "{page}");
    assert!(page.contains("cannot remove old iterations; the server"));
    // Causes inside the server are not for anonymous visitors.
    assert!(!page.contains("broken by a test"), "{page}");

    server.change_schema("drop trigger broken").await;
    push(&server, "3.0-1", 3).await;
    eventually("no outage", async || {
        client.outages().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert!(!home(&server).await.contains("Outage, started"));
}
