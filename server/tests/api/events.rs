//! The event stream of a namespace.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{BuildStatus, EventId, EventKind, IterationStatus};
use reqwest::{Method, header};

use crate::support::{Srcinfo, TestServer, expect_problem};

async fn server() -> TestServer {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

#[tokio::test]
async fn records_events_of_a_rebuild_in_order() {
    let server = server().await;
    let mut events = server.follow("bump").await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    let mut story = Vec::new();
    let mut last = EventId(0);
    loop {
        let event = events.next().await;
        assert!(event.id > last, "events are numbered in order");
        last = event.id;
        let about = event
            .pkgbase
            .map(|pkgbase| pkgbase.to_string())
            .unwrap_or_default();
        story.push(format!("{} {about}", event.kind).trim().to_owned());
        if event.kind == EventKind::Iteration(IterationStatus::Done) {
            break;
        }
    }
    assert_eq!(
        story,
        [
            "iteration.planned",
            "build.dispatched libgreet",
            "build.building libgreet",
            "attempt.succeeded libgreet",
            "build.built libgreet",
            "build.ready greet",
            "build.dispatched greet",
            "build.building greet",
            "attempt.succeeded greet",
            "build.built greet",
            "iteration.done",
        ]
    );
}

#[tokio::test]
async fn streams_only_new_events_without_last_event_id() {
    let server = server().await;
    let mut events = server.follow_after("bump", None).await;
    let job = server.worker("w").await.claims().await;
    let first = events.next().await;
    assert_eq!(first.kind, EventKind::Build(BuildStatus::Dispatched));
    assert_eq!(first.attempt, Some(job.claimed.attempt));
    assert_eq!(first.build, Some(job.claimed.build));
    assert_eq!(first.message.as_deref(), Some("w"));
}

#[tokio::test]
async fn sends_same_events_to_all_listeners_of_a_namespace() {
    let server = server().await;
    server.namespace("second", &["greet/main"]).await;
    let mut listeners = Vec::new();
    for _ in 0..5 {
        listeners.push(server.follow_after("bump", None).await);
    }
    let mut elsewhere = server.follow_after("second", None).await;
    let worker = server.worker("w").await;
    let (first, second) = (worker.claims().await, worker.claims().await);
    for listener in &mut listeners {
        let event = listener.next().await;
        assert_eq!(event.attempt, Some(first.claimed.attempt));
    }
    assert_eq!(elsewhere.next().await.attempt, Some(second.claimed.attempt));
}

#[tokio::test]
async fn numbers_events_for_last_event_id() {
    let server = server().await;
    let path = "/api/v1/namespaces/bump/events";
    let request = server
        .request(Method::GET, path)
        .header("last-event-id", "0");
    let mut response = request.send().await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut text = String::new();
    while !text.contains("\n\n") {
        let piece = response
            .chunk()
            .await
            .unwrap()
            .expect("the stream ended early");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(text.lines().any(|line| line.starts_with("id: ")), "{text}");
    assert!(text.contains("iteration.planned"), "{text}");

    let request = server
        .request(Method::GET, path)
        .header("last-event-id", "yesterday");
    expect_problem(
        request.send().await.unwrap(),
        400,
        ProblemKind::InvalidRequest,
    )
    .await;
}
