//! The event streams of a namespace and of all.

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::EventFilter;
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
async fn streams_events_of_all_namespaces() {
    let server = server().await;
    let mut all = server.follow_all(&EventFilter::default(), None).await;
    server.namespace("second", &["greet/main"]).await;
    let planned = all.until("iteration.planned").await;
    assert_eq!(planned.namespace.as_str(), "second");
    let worker = server.worker("w").await;
    let (first, second) = (worker.claims().await, worker.claims().await);
    for job in [first, second] {
        let event = all.until("build.dispatched").await;
        assert_eq!(event.attempt, Some(job.claimed.attempt));
        assert_eq!(event.namespace, job.claimed.namespace);
    }
}

#[tokio::test]
async fn filters_events_of_all_namespaces() {
    let server = server().await;
    server.namespace("second", &["libgreet/main"]).await;
    let filter = |namespace: &str, kind: &str, package: &str| {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        EventFilter {
            namespace: value(namespace),
            kind: value(kind),
            package: value(package),
        }
    };
    let mut streams = Vec::new();
    for (namespace, kind, package) in [
        ("second", "", ""),
        ("", "build.built,iteration", ""),
        ("", "build", "greet"),
        ("bump,second", "build.built", "libgreet,greet"),
    ] {
        let filter = filter(namespace, kind, package);
        let stream = server.follow_all(&filter, Some(EventId(0))).await;
        streams.push((filter, stream));
    }
    let mut every = server
        .follow_all(&EventFilter::default(), Some(EventId(0)))
        .await;
    let worker = server.worker("w").await;
    // More than there are: the last claim waits.
    let building = async {
        for _ in 0..100 {
            worker.claims().await.succeeds().await;
        }
    };
    let mut story = Vec::new();
    let reading = async {
        let mut done = 0;
        while done < 2 {
            let event = every.next().await;
            done += usize::from(event.kind == EventKind::Iteration(IterationStatus::Done));
            story.push(event);
        }
    };
    tokio::select! {
        () = reading => {}
        () = building => panic!("there are fewer builds"),
    }
    for (filter, stream) in &mut streams {
        let among = |list: &Option<String>, is: &dyn Fn(&str) -> bool| {
            list.as_ref().is_none_or(|list| list.split(',').any(is))
        };
        let expected = story.iter().filter(|event| {
            let kind = event.kind.to_string();
            among(&filter.namespace, &|name| event.namespace.as_str() == name)
                && among(&filter.kind, &|wanted| {
                    kind == wanted || kind.starts_with(&format!("{wanted}."))
                })
                && among(&filter.package, &|name| {
                    event
                        .pkgbase
                        .as_ref()
                        .is_some_and(|pkgbase| pkgbase.as_str() == name)
                })
        });
        let expected: Vec<EventId> = expected.map(|event| event.id).collect();
        assert!(!expected.is_empty(), "{filter:?}");
        for id in expected {
            assert_eq!(stream.next().await.id, id, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn continues_events_of_all_namespaces_after_last_event_id() {
    let server = server().await;
    server.namespace("second", &["greet/main"]).await;
    let mut all = server
        .follow_all(&EventFilter::default(), Some(EventId(0)))
        .await;
    let first = all.next().await;
    let second = all.next().await;
    assert!(second.id > first.id);
    let mut rest = server
        .follow_all(&EventFilter::default(), Some(first.id))
        .await;
    assert_eq!(rest.next().await.id, second.id);
    // An event of a deleted namespace is known, too.
    let highest = server.number("select max(id) from event").await;
    server
        .admin()
        .delete_namespace(&"second".parse().unwrap())
        .await
        .unwrap();
    let mut later = server
        .follow_all(&EventFilter::default(), Some(EventId(highest)))
        .await;
    server.namespace("third", &["greet/main"]).await;
    assert_eq!(later.next().await.namespace.as_str(), "third");
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
