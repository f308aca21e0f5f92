//! GitLab may be slow, overloaded, broken, unreachable or another version: no change is lost, and
//! the server respects its requests to wait.

use std::time::Duration;

use buildbtw_fake_gitlab::{Drift, Fault, On, Times};
use jiff::SignedDuration;
use serde_json::json;

use super::access::set;
use super::{Forge, GROUP, complete, overview, poll};
use crate::support::{Srcinfo, TestServer, eventually};

fn on(operation: &str) -> On {
    On::Operation(operation.to_owned())
}

async fn recovered(server: &TestServer) {
    eventually("no outage", async || {
        overview(server).await.outage.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hides_short_failures() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    for (number, fault) in [
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::RateLimited { retry_after: 1 },
        Fault::DropBeforeResponse,
        Fault::DropInBody,
        Fault::LoseResponse,
        Fault::Latency(Duration::from_millis(300)),
        Fault::NullField {
            path: "group.projects.nodes[0].repository".to_owned(),
            message: "Timeout on Project.repository".to_owned(),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let version = format!("{}-1", number + 2);
        forge.push(&Srcinfo::new("anchor", &version));
        let rule = forge
            .gitlab
            .faults()
            .add(on("GroupProjects"), Times::Next(1), fault.clone());
        poll(&server).await;
        server.source_at("anchor", &version).await;
        assert_eq!(overview(&server).await.outage, None, "{fault:?}");
        forge.gitlab.faults().remove(rule);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_no_change_during_hour_long_outage() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let mut options = forge.options();
    set(&mut options, "--gitlab-poll-seconds", "1");
    let server = forge.server_with(options).await;
    server.namespace("n", &["libgreet/main"]).await;
    forge.gitlab.faults().set_down(true);
    let outage = eventually("an outage", async || overview(&server).await.outage).await;
    assert!(
        outage.message.contains("cannot connect") || outage.message.contains("connection lost"),
        "{}",
        outage.message
    );
    // Known data is still served, and requests that need GitLab report the outage.
    assert_eq!(overview(&server).await.usable, 2);
    let response = server
        .admin_request(reqwest::Method::POST, "/api/v1/namespaces")
        .json(&json!({ "changesets": ["libgreet/next"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(text.contains("a request to GitLab failed"), "{text}");

    let pushed = forge.push(&Srcinfo::new("libgreet", "2-1"));
    forge.gitlab.clock().advance(SignedDuration::from_hours(1));
    forge.gitlab.faults().set_down(false);
    recovered(&server).await;
    eventually("a new iteration", async || {
        let now = server.iteration("n").await.origins;
        (now[0].commit.as_str() == pushed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn respects_retry_after_of_gitlab() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.gitlab.clear_requests();
    forge.gitlab.faults().add(
        On::Graphql,
        Times::Next(1),
        Fault::RateLimited { retry_after: 2 },
    );
    let started = std::time::Instant::now();
    poll(&server).await;
    // No request was sent before the two seconds were over, except one that may have been under
    // way.
    let after = eventually("a request after the pause", async || {
        let mut requests = forge.gitlab.requests();
        let refused = requests
            .iter()
            .position(|request| request.status == Some(429));
        let after = requests.split_off(refused?);
        (after.len() > 1).then_some(after)
    })
    .await;
    let pause = after[1].at.duration_since(after[0].at);
    assert!(pause >= SignedDuration::from_secs(1), "{pause}");
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_project_does_not_block_others() {
    let forge = Forge::new().await;
    for name in ["good", "bad", "known"] {
        forge.push(&Srcinfo::new(name, "1-1"));
    }
    let server = forge.server().await;
    // By its path, not by its place: after ten polls the server reads unreadable projects by ID.
    let rule = forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::NullField {
            path: format!("group.projects.nodes[fullPath={GROUP}/bad].repository"),
            message: "Gitaly is out of order".to_owned(),
        },
    );
    // The server also polls by itself: a poll that began before the fault must not see the pushes.
    poll(&server).await;
    forge.push(&Srcinfo::new("good", "2-1"));
    forge.push(&Srcinfo::new("bad", "2-1"));
    poll(&server).await;
    server.source_at("good", "2-1").await;
    let bad = server.source("bad").await.unwrap();
    assert_eq!(bad.version.unwrap().as_str(), "1-1");
    // An unreadable project keeps its state, and is not broken.
    assert_eq!(overview(&server).await.broken, 0);
    assert_eq!(overview(&server).await.outage, None);
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    for name in ["good", "bad"] {
        server.source_at(name, "2-1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn treats_error_on_whole_response_as_outage() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.push(&Srcinfo::new("anchor", "2-1"));
    let rule = forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::NullField {
            path: "group".to_owned(),
            message: "Timeout on Query.group".to_owned(),
        },
    );
    poll_expecting_outage(&server).await;
    let outage = overview(&server).await.outage.unwrap();
    assert!(
        outage.message.contains("Timeout on Query.group"),
        "{}",
        outage.message
    );
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    server.source_at("anchor", "2-1").await;
    recovered(&server).await;
}

/// Polls without expecting success.
async fn poll_expecting_outage(server: &TestServer) {
    let _ = server
        .admin_request(reqwest::Method::POST, "/api/v1/plans")
        .json(&json!({ "changesets": ["anchor/main"], "scope": "origin" }))
        .send()
        .await
        .unwrap();
    eventually("an outage", async || overview(server).await.outage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_deny_existence_during_outage() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    // Longer than a request waits, and shorter than the timeout of the GitLab client.
    let slow = Fault::Latency(Duration::from_secs(600));
    forge
        .gitlab
        .faults()
        .add(on("GroupProjects"), Times::Always, slow);
    for path in ["/api/v1/namespaces", "/api/v1/plans"] {
        let response = server
            .admin_request(reqwest::Method::POST, path)
            .json(&json!({ "changesets": ["brandnew/main"] }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 503, "{path}");
        let text = response.text().await.unwrap();
        assert!(
            text.contains("no source repository of pkgbase `brandnew` is known, and the sources could not be read"),
            "{path}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn distinguishes_incompatible_gitlab_version_from_outage() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.push(&Srcinfo::new("anchor", "2-1"));
    // New fields do not matter; missing ones do, and are named.
    forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::Drift(Drift::Add {
            sibling: "fullPath".to_owned(),
            field: "shiny".to_owned(),
            value: json!({"new": true}),
        }),
    );
    poll(&server).await;
    server.source_at("anchor", "2-1").await;
    forge.push(&Srcinfo::new("anchor", "3-1"));
    let rule = forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::Drift(Drift::Rename {
            field: "fullPath".to_owned(),
            to: "wholePath".to_owned(),
        }),
    );
    poll_expecting_outage(&server).await;
    let outage = overview(&server).await.outage.unwrap();
    let hint = outage.hint.unwrap_or_default();
    assert!(
        outage.message.contains("fullPath") && hint.contains("update-graphql-schema"),
        "{} {hint}",
        outage.message
    );
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    server.source_at("anchor", "3-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_unknown_enum_values() {
    let forge = Forge::new().await;
    forge.push_to("anchor", "next", &Srcinfo::new("anchor", "2-1"));
    let project = forge.project("anchor");
    let iid = forge
        .gitlab
        .open_merge_request(project, "main", project, "next", "Next")
        .unwrap();
    let server = forge.server().await;
    forge.gitlab.faults().add(
        on("MergeRequestSource"),
        Times::Always,
        Fault::Drift(Drift::Replace {
            field: "state".to_owned(),
            value: json!("postponed"),
        }),
    );
    let url = format!(
        "{}/{}/anchor/-/merge_requests/{iid}",
        forge.gitlab.url(),
        super::GROUP
    );
    let response = server
        .admin_request(reqwest::Method::POST, "/api/v1/plans")
        .json(&json!({ "changesets": [url] }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 409);
    assert!(response.text().await.unwrap().contains("not open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reduces_page_size_when_query_is_too_complex() {
    let forge = Forge::new().await;
    for number in 0..20 {
        forge.push(&Srcinfo::new(&format!("p{number}"), "1-1"));
    }
    forge.gitlab.set_complexity_limits(70, 70);
    let server = forge.server().await;
    assert_eq!(overview(&server).await.usable, 21);
    let requests = forge.requests_of("GroupProjects");
    assert!(
        requests.iter().any(|request| request.complexity > Some(70)),
        "{requests:?}"
    );
    assert!(
        requests.last().unwrap().complexity <= Some(70),
        "{requests:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_nothing_despite_clock_skew() {
    for hours in [-30, 30] {
        let forge = Forge::new().await;
        forge
            .gitlab
            .clock()
            .advance(SignedDuration::from_hours(hours));
        let server = forge.server().await;
        for version in ["2-1", "3-1"] {
            forge.push(&Srcinfo::new("anchor", version));
            poll(&server).await;
            server.source_at("anchor", version).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn converges_under_random_faults() {
    let forge = Forge::new().await;
    for number in 0..40 {
        forge.push(&Srcinfo::new(&format!("p{number}"), "1-1"));
    }
    let mut options = forge.options();
    set(&mut options, "--gitlab-poll-seconds", "1");
    forge.gitlab.faults().random(7, 200);
    let server = TestServer::start_with(options, |_| {}).await;
    forge.hook(&server, true);
    complete(&server).await;
    for version in ["2-1", "3-1"] {
        for number in 0..40 {
            forge.push(&Srcinfo::new(&format!("p{number}"), version));
        }
    }
    for number in 0..40 {
        server.source_at(&format!("p{number}"), "3-1").await;
    }
    forge.gitlab.faults().clear();
    recovered(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_despite_retry_after_zero() {
    let forge = Forge::new().await;
    let mut options = forge.options();
    set(&mut options, "--gitlab-poll-seconds", "1");
    let server = forge.server_with(options).await;
    forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::RateLimited { retry_after: 0 },
    );
    forge.gitlab.clear_requests();
    eventually("an outage", async || overview(&server).await.outage).await;
    // That took the twenty seconds in which a request is retried.
    let requests = forge.gitlab.requests().len();
    assert!(requests < 20, "{requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn replans_after_outage() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2-1"));
    forge.push(&Srcinfo::new("app", "1-1").depends(&["libgreet"]));
    let server = forge.server().await;
    let body =
        json!({ "name": "n", "changesets": ["libgreet/next"], "follow_default": {"after_s": 1} });
    let response = server
        .admin_request(reqwest::Method::POST, "/api/v1/namespaces")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(
        response.status().is_success(),
        "{:?}",
        response.text().await
    );
    let rule = forge
        .gitlab
        .faults()
        .add(on("ResolveRef"), Times::Always, Fault::status(503));
    forge.push(&Srcinfo::new("app", "2-1").depends(&["libgreet"]));
    super::deliver_push(&forge, &server, "app").await;
    server.source_at("app", "2-1").await;
    eventually("a failed plan", async || {
        (forge.requests_of("ResolveRef").len() > 2).then_some(())
    })
    .await;
    forge.gitlab.faults().remove(rule);
    eventually("a new iteration", async || {
        (server.iteration("n").await.summary.number == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_webhook_until_project_is_readable() {
    let forge = Forge::new().await;
    let mut server = forge.server().await;
    forge.push(&Srcinfo::new("anchor", "2-1"));
    let rule = forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::NullField {
            path: "group.projects.nodes[*].repository".to_owned(),
            message: "Gitaly is out of order".to_owned(),
        },
    );
    forge.gitlab.clear_requests();
    super::deliver_push(&forge, &server, "anchor").await;
    eventually("failed requests", async || {
        (forge.requests_of("GroupProjects").len() >= 3).then_some(())
    })
    .await;
    server.crash().await;
    forge.gitlab.faults().remove(rule);
    // It is still queued.
    server
        .sql("update webhook_delivery set kind = kind where processed_at is null")
        .await;
    server.start_again().await;
    server.source_at("anchor", "2-1").await;
}
