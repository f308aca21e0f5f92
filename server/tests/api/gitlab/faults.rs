//! GitLab may be slow, full, broken, gone or another version: nothing is lost by it, and it is left
//! in peace when it asks for that.

use std::time::Duration;

use buildbtw_fake_gitlab::{Drift, Fault, On, Times};
use jiff::SignedDuration;
use serde_json::json;

use super::access::set;
use super::{Forge, complete, overview, poll};
use crate::support::{Srcinfo, TestServer, eventually};

fn on(operation: &str) -> On {
    On::Operation(operation.to_owned())
}

async fn recovered(server: &TestServer) {
    eventually("no trouble", async || {
        overview(server).await.trouble.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_failures_are_not_even_noticed() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    for (number, fault) in [
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::RateLimited { retry_after: 1 },
        Fault::DropBeforeAnswer,
        Fault::DropInBody,
        Fault::LoseReply,
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
        assert_eq!(overview(&server).await.trouble, None, "{fault:?}");
        forge.gitlab.faults().remove(rule);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_an_hour_loses_no_change() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let mut options = forge.options();
    set(&mut options, "--gitlab-poll-seconds", "1");
    let server = forge.server_with(options).await;
    server.namespace("n", &["libgreet/main"]).await;
    forge.gitlab.faults().set_down(true);
    let trouble = eventually("trouble", async || overview(&server).await.trouble).await;
    assert!(
        trouble.message.contains("cannot be reached"),
        "{}",
        trouble.message
    );
    // What is known is still answered, and what needs GitLab says what is wrong.
    assert_eq!(overview(&server).await.usable, 2);
    let answer = server
        .admin_request(reqwest::Method::POST, "/api/v1/namespaces")
        .json(&json!({ "changesets": ["libgreet/next"] }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("GitLab did not answer"), "{text}");

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
async fn a_pause_that_gitlab_asks_for_is_kept() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.gitlab.faults().add(
        On::Graphql,
        Times::Next(1),
        Fault::RateLimited { retry_after: 2 },
    );
    forge.gitlab.clear_requests();
    let asked = std::time::Instant::now();
    poll(&server).await;
    // Nothing was sent before the two seconds were over.
    let requests = forge.gitlab.requests();
    assert_eq!(requests[0].status, Some(429));
    let pause = requests[1].at.duration_since(requests[0].at);
    assert!(pause >= SignedDuration::from_secs(1), "{pause}");
    assert!(asked.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_project_that_gitlab_cannot_read_holds_nothing_up() {
    let forge = Forge::new().await;
    for name in ["good", "bad", "known"] {
        forge.push(&Srcinfo::new(name, "1-1"));
    }
    let server = forge.server().await;
    let index = "group.projects.nodes[0].repository";
    forge.push(&Srcinfo::new("good", "2-1"));
    forge.push(&Srcinfo::new("bad", "2-1"));
    // Newest activity first, and of equal ones the newest project: that is "known".
    let rule = forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::NullField {
            path: index.to_owned(),
            message: "Gitaly is out of order".to_owned(),
        },
    );
    poll(&server).await;
    let changed: Vec<_> = ["good", "bad"]
        .into_iter()
        .map(async |name| server.source(name).await.unwrap().version.unwrap())
        .collect();
    let mut at_two = 0;
    for version in changed {
        at_two += usize::from(version.await.as_str() == "2-1");
    }
    assert!(at_two >= 1, "nothing was taken from the page");
    // What could not be read stays as it was, and is not broken.
    assert_eq!(overview(&server).await.broken, 0);
    assert_eq!(overview(&server).await.trouble, None);
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    for name in ["good", "bad"] {
        server.source_at(name, "2-1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_about_the_whole_answer_takes_nothing_from_it() {
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
    poll_in_vain(&server).await;
    let trouble = overview(&server).await.trouble.unwrap();
    assert!(
        trouble.message.contains("Timeout on Query.group"),
        "{}",
        trouble.message
    );
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    server.source_at("anchor", "2-1").await;
    recovered(&server).await;
}

/// Polls without expecting that it helps.
async fn poll_in_vain(server: &TestServer) {
    let _ = server
        .request(reqwest::Method::POST, "/api/v1/plans")
        .json(&json!({ "changesets": ["anchor/main"], "scope": "origin" }))
        .send()
        .await
        .unwrap();
    eventually("trouble", async || overview(server).await.trouble).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_gitlab_is_told_from_an_outage() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.push(&Srcinfo::new("anchor", "2-1"));
    // New fields do not matter; missing ones do, and are named.
    forge.gitlab.faults().add(
        on("GroupProjects"),
        Times::Always,
        Fault::Drift(Drift::Add {
            beside: "fullPath".to_owned(),
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
    poll_in_vain(&server).await;
    let trouble = overview(&server).await.trouble.unwrap();
    assert!(
        trouble.message.contains("fullPath") && trouble.message.contains("update-graphql-schema"),
        "{}",
        trouble.message
    );
    forge.gitlab.faults().remove(rule);
    poll(&server).await;
    server.source_at("anchor", "3-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_nobody_knows_yet_are_no_error() {
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
    let answer = server
        .request(reqwest::Method::POST, "/api/v1/plans")
        .json(&json!({ "changesets": [url] }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 409);
    assert!(answer.text().await.unwrap().contains("not open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_get_smaller_when_gitlab_finds_them_too_dear() {
    let forge = Forge::new().await;
    for number in 0..20 {
        forge.push(&Srcinfo::new(&format!("p{number}"), "1-1"));
    }
    forge.gitlab.set_complexity_limits(70, 70);
    let server = forge.server().await;
    assert_eq!(overview(&server).await.usable, 21);
    let asked = forge.requests_of("GroupProjects");
    assert!(
        asked.iter().any(|request| request.complexity > Some(70)),
        "{asked:?}"
    );
    assert!(asked.last().unwrap().complexity <= Some(70), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_by_hours_hide_nothing() {
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
async fn whatever_goes_wrong_all_is_known_in_the_end() {
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
