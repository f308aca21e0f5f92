//! Requests to GitLab caused by anonymous clients, and the cost of forged webhooks.

use buildbtw_model::api::ProblemKind;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Forge, GROUP, SECRET, many};
use crate::support::{PATIENCE, Srcinfo, TestServer, expect_problem};

const PLANS: &str = "/api/v1/plans";

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_plan_causes_at_most_one_poll() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2-1"));
    let server = forge.server().await;
    let unknown: Vec<_> = (0..20).map(|number| format!("p{number}/main")).collect();
    let merge_request = format!("{}/{GROUP}/libgreet/-/merge_requests/1", forge.gitlab.url());
    for (changesets, status) in [
        (vec!["libgreet/main".to_owned()], 200),
        (unknown, 422),
        (vec!["libgreet/next".to_owned()], 401),
        (vec!["libgreet/0123456789".to_owned()], 401),
        (vec![merge_request], 401),
    ] {
        forge.gitlab.clear_requests();
        let request = server.request(Method::POST, PLANS);
        let request = request.json(&json!({ "changesets": changesets, "scope": "origin" }));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{changesets:?}");
        let requests = forge.gitlab.requests();
        let polls = forge.requests_of("GroupProjects").len();
        assert_eq!(requests.len(), polls, "{changesets:?}: {requests:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_size_of_anonymous_plan() {
    let forge = Forge::new().await;
    forge.gitlab.import_texts(many("p", 1_001), GROUP).unwrap();
    let server = forge.server().await;
    let body = json!({ "changesets": ["anchor/main"], "scope": "origin", "include": ["p*"] });
    let response = server.request(Method::POST, PLANS).json(&body).send();
    let response = response.await.unwrap();
    let problem = expect_problem(response, 422, ProblemKind::PlanTooLarge).await;
    assert!(problem.title.contains("1002"), "{problem:?}");
    let response = server.admin_request(Method::POST, PLANS).json(&body).send();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

/// Sends the headers of a webhook, but not its body, and returns the status of the response.
async fn status_for_headers(server: &TestServer, headers: &str) -> String {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/webhooks/gitlab HTTP/1.1\r\nHost: x\r\nContent-Length: 25000000\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = [0; 12];
    let reading = stream.read_exact(&mut response);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&response[9..]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_webhooks_by_headers() {
    let server = TestServer::start(|_| {}).await;
    assert_eq!(status_for_headers(&server, "").await, "404");
    let forge = Forge::new().await;
    let server = forge.server().await;
    let now = jiff::Timestamp::now().as_second();
    let digest = "A".repeat(43);
    for headers in [
        String::new(),
        "X-Gitlab-Token: wrong\r\n".to_owned(),
        "webhook-signature: v1,AAAA\r\n".to_owned(),
        format!("webhook-signature: v1,AAAA\r\nwebhook-id: a\r\nwebhook-timestamp: {now}\r\n"),
        format!("webhook-signature: v1,{digest}=\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\n"),
        format!("webhook-signature: v1,{digest}=\r\nwebhook-id: a\r\nwebhook-timestamp: x\r\n"),
    ] {
        assert_eq!(
            status_for_headers(&server, &headers).await,
            "401",
            "{headers}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_out_webhook_without_body() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let token = format!("X-Gitlab-Token: {}\r\n", super::SECRET);
    assert_eq!(status_for_headers(&server, &token).await, "408");
}

#[tokio::test]
async fn says_what_it_expects_instead_of_other_texts() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let request = server
        .request(Method::POST, "/api/v1/webhooks/gitlab")
        .header("X-Gitlab-Token", SECRET)
        .body("no JSON");
    let response = request.send().await.unwrap();
    let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    assert!(problem.hint.unwrap().contains("webhooks of GitLab"));
}
