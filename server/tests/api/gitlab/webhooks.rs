//! Webhooks speed up the detection of changes. They are only hints: forged, repeated, reordered or
//! lost ones do not change the final state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildbtw_model::api::ProblemKind;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sha2::Sha256;

use super::{Forge, GROUP, SECRET, many, poll};
use crate::support::{Srcinfo, TestServer, eventually, expect_problem};

const PATH: &str = "/api/v1/webhooks/gitlab";

/// Sends a webhook with a secret token.
async fn send(server: &TestServer, token: Option<&str>, key: &str, body: String) -> StatusCode {
    let mut request = server
        .request(Method::POST, PATH)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", key)
        .body(body);
    if let Some(token) = token {
        request = request.header("X-Gitlab-Token", token);
    }
    request.send().await.unwrap().status()
}

fn push(forge: &Forge, name: &str) -> String {
    let project = forge.project(name).0;
    json!({
        "object_kind": "push", "project_id": project, "ref": "refs/heads/main",
        "project": {"id": project, "path_with_namespace": format!("{GROUP}/{name}")},
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn push_webhook_plans_new_iteration() {
    for signed in [false, true] {
        let forge = Forge::new().await;
        forge.push(&Srcinfo::new("libgreet", "1-1"));
        let server = forge.server().await;
        forge.hook(&server, signed);
        server.namespace("n", &["libgreet/main"]).await;
        let pushed = forge.push(&Srcinfo::new("libgreet", "2-1"));
        eventually("a new iteration", async || {
            let now = server.iteration("n").await;
            (now.summary.number == 2 && now.origins[0].commit.as_str() == pushed).then_some(())
        })
        .await;
        forge.gitlab.deliveries_done().await;
        for delivery in forge.gitlab.webhooks().deliveries() {
            assert_eq!(delivery.status, Some(200), "{delivery:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_branches_tags_and_merge_requests() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let project = forge.project("libgreet");
    forge.gitlab.tag(project, "moving", None, None).unwrap();
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2-1"));
    let server = forge.server().await;
    forge.hook(&server, true);
    server.namespace("branch", &["libgreet/next"]).await;
    server.namespace("tag", &["libgreet/moving"]).await;
    let next = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2.1-1"));
    forge
        .gitlab
        .tag(project, "moving", Some("next"), None)
        .unwrap();
    for name in ["branch", "tag"] {
        eventually(name, async || {
            let now = server.iteration(name).await.origins;
            (now[0].commit.as_str() == next).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_webhooks_announce_new_and_removed_projects() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    forge.hook(&server, false);
    forge.push(&Srcinfo::new("fresh", "1-1"));
    server.source_at("fresh", "1-1").await;
    // It was moved out of the group before the webhook of the push arrived.
    forge.gitlab.create_group("elsewhere").unwrap();
    forge.gitlab.webhooks().hold();
    forge.push(&Srcinfo::new("fresh", "2-1"));
    forge
        .gitlab
        .rename(forge.project("fresh"), "elsewhere/fresh")
        .unwrap();
    forge.gitlab.webhooks().release();
    eventually("gone", async || {
        server.source("fresh").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tolerates_duplicate_and_reordered_webhooks() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let server = forge.server().await;
    forge.hook(&server, true);
    forge.gitlab.webhooks().set_duplicate(true);
    forge.gitlab.webhooks().hold();
    for version in ["2-1", "3-1", "4-1"] {
        forge.push(&Srcinfo::new("libgreet", version));
    }
    forge.gitlab.webhooks().release_reversed();
    forge.gitlab.deliveries_done().await;
    server.source_at("libgreet", "4-1").await;
    let deliveries = forge.gitlab.webhooks().deliveries();
    assert!(deliveries.len() >= 3, "{deliveries:?}");
    // A repeated one is recognized, and causes no request.
    poll(&server).await;
    forge.gitlab.clear_requests();
    forge.gitlab.webhooks().set_duplicate(false);
    forge.gitlab.webhooks().resend(deliveries[0].id).unwrap();
    forge.gitlab.deliveries_done().await;
    poll(&server).await;
    assert_eq!(forge.requests_by_id(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_recovers_lost_webhook() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let server = forge.server().await;
    forge.hook(&server, true);
    server.namespace("n", &["libgreet/main"]).await;
    forge.gitlab.webhooks().set_drop(true);
    let pushed = forge.push(&Srcinfo::new("libgreet", "2-1"));
    forge.gitlab.deliveries_done().await;
    poll(&server).await;
    eventually("a new iteration", async || {
        let now = server.iteration("n").await.origins;
        (now[0].commit.as_str() == pushed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_accepted_webhooks_through_crash_and_outage() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    // Enough that old changes are not on the first page.
    forge.gitlab.clock().advance(SignedDuration::from_mins(10));
    forge.gitlab.import_texts(many("p", 110), GROUP).unwrap();
    let mut server = forge.server().await;
    // GitLab sends webhooks, but does not respond to requests.
    forge.push(&Srcinfo::new("libgreet", "2-1"));
    forge.gitlab.faults().set_down(true);
    let status = send(&server, Some(SECRET), "k", push(&forge, "libgreet")).await;
    assert_eq!(status, StatusCode::OK);
    server.crash().await;
    // The push is long past when the server is back, and the server assumes that it has seen
    // everything since.
    forge.gitlab.clock().advance(SignedDuration::from_hours(9));
    server
        .sql("update source_progress set watermark = watermark + 9 * 3600 * 1000")
        .await;
    forge.gitlab.faults().set_down(false);
    server.start_again().await;
    server.source_at("libgreet", "2-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_forged_and_replayed_webhooks() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let body = push(&forge, "anchor");
    for token in [
        None,
        Some(""),
        Some("wrong"),
        Some("hook-s3cre"),
        Some("hook-s3crett"),
    ] {
        let status = send(&server, token, "k", body.clone()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{token:?}");
    }
    // A real one, intercepted and sent again: much later, modified, or with another id.
    let now = Timestamp::now().as_second();
    let hour = 3600;
    let signature = sign("caught", now, &body);
    for (id, timestamp, body) in [
        ("caught", now, "{}"),
        ("other", now, &body),
        ("caught", now + 1, &body),
    ] {
        let status = send_signed(&server, id, timestamp, &signature, body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{id} {timestamp}");
    }
    for timestamp in [now - hour, now + hour] {
        let signature = sign("caught", timestamp, &body);
        let status = send_signed(&server, "caught", timestamp, &signature, &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{timestamp}");
    }
    for _ in 0..2 {
        let status = send_signed(&server, "caught", now, &signature, &body).await;
        assert_eq!(status, StatusCode::OK, "a repetition is known");
    }
}

/// Signs according to Standard Webhooks, with the key of these tests.
fn sign(id: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

async fn send_signed(
    server: &TestServer,
    id: &str,
    timestamp: i64,
    signature: &str,
    body: &str,
) -> StatusCode {
    let request = server
        .request(Method::POST, PATH)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(body.to_owned());
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_webhook_secret_guessing() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(send(&server, Some("guess"), "k", "{}".to_owned()).await);
    }
    assert_eq!(statuses[0], StatusCode::UNAUTHORIZED);
    assert_eq!(statuses[29], StatusCode::TOO_MANY_REQUESTS);
    let right = send(&server, Some(SECRET), "k", push(&forge, "anchor")).await;
    assert_eq!(right, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_and_ignores_unrelated_webhooks() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let other = json!({
        "object_kind": "push", "project_id": 99,
        "project": {"id": 99, "path_with_namespace": "other/project"},
    });
    for (body, expected) in [
        (json!({"object_kind": "wiki_page"}).to_string(), StatusCode::NO_CONTENT),
        (json!({"event_name": "user_create"}).to_string(), StatusCode::NO_CONTENT),
        (other.to_string(), StatusCode::NO_CONTENT),
        (json!({"object_kind": "push"}).to_string(), StatusCode::NO_CONTENT),
        (json!({"object_kind": "push", "project_id": u64::MAX}).to_string(), StatusCode::NO_CONTENT),
        (json!({"object_kind": "push", "project_id": "one"}).to_string(), StatusCode::NO_CONTENT),
        (json!({"object_kind": "push", "project_id": 1e300}).to_string(), StatusCode::NO_CONTENT),
        ("7".to_owned(), StatusCode::NO_CONTENT),
        ("[]".to_owned(), StatusCode::NO_CONTENT),
        ("[".to_owned(), StatusCode::BAD_REQUEST),
        (
            json!({"object_kind": "pipeline", "project": {"id": 1}, "object_attributes": {"id": 5}})
                .to_string(),
            StatusCode::OK,
        ),
        (
            json!({"object_kind": "build", "project_id": 1, "build_id": 5}).to_string(),
            StatusCode::OK,
        ),
        (format!("{{\"object_kind\":\"push\",\"x\":\"{}\"}}", "x".repeat(27 << 20)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let key = &body[..body.len().min(40)];
        let status = send(&server, Some(SECRET), key, body.clone()).await;
        assert_eq!(status, expected, "{}", &body[..body.len().min(80)]);
    }
}

#[tokio::test]
async fn rejects_webhooks_without_configured_secret() {
    let server = TestServer::start(|_| {}).await;
    let request = server.request(Method::POST, PATH).body("{}");
    let response = request.send().await.unwrap();
    let problem = expect_problem(response, 404, ProblemKind::NotFound).await;
    assert!(
        problem
            .hint
            .unwrap()
            .contains("--gitlab-webhook-secret-file")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_largest_webhook_of_gitlab() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    let server = forge.server().await;
    let large = |path: &str, id: u64| {
        let file = "x".repeat(1 << 20);
        let body = json!({
            "object_kind": "push", "project_id": id, "ref": "refs/heads/main",
            "project": {"id": id, "path_with_namespace": path},
            "commits": [{"added": vec![file; 24]}],
        });
        let mut body = body.to_string();
        body.push_str(&" ".repeat(25_000_000_usize.saturating_sub(body.len())));
        body
    };
    // Of a foreign project: a system hook reports all projects.
    let response = send(
        &server,
        Some(SECRET),
        "large-1",
        large("elsewhere/x", 99_999),
    )
    .await;
    assert_eq!(response, StatusCode::NO_CONTENT);
    let id = forge.project("libgreet").0;
    let response = send(
        &server,
        Some(SECRET),
        "large-2",
        large(&format!("{GROUP}/libgreet"), id),
    )
    .await;
    assert_eq!(response, StatusCode::OK);
    // A signature is verified over the whole body.
    let body = large(&format!("{GROUP}/libgreet"), id);
    let now = Timestamp::now().as_second();
    let signature = sign("large-3", now, &body);
    let response = send_signed(&server, "large-3", now, &signature, &body).await;
    assert_eq!(response, StatusCode::OK);
    let longer = format!("{body} ");
    let response = send_signed(&server, "large-3", now, &signature, &longer).await;
    assert_eq!(response, StatusCode::UNAUTHORIZED);
    // A forged one is rejected without reading its body.
    let refused = large("elsewhere/x", 99_999);
    let client = reqwest::Client::new();
    for token in [None, Some("wrong")] {
        let mut request = client
            .post(format!("{}{PATH}", server.url()))
            .header("Expect", "100-continue")
            .header("Content-Type", "application/json")
            .body(refused.clone());
        if let Some(token) = token {
            request = request.header("X-Gitlab-Token", token);
        }
        // The connection may be closed before all of it was sent.
        if let Ok(response) = request.send().await {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        }
    }
}

/// Runs the case as `notes/cases.md` describes: a program posts webhooks of odd shapes and sizes.
#[tokio::test(flavor = "multi_thread")]
async fn case_20_large_webhook() {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/cases/20-large-webhook/post.py"
    );
    let forge = Forge::new().await;
    let server = forge.server().await;
    let url = format!("{}{PATH}", server.url());
    let mut command = tokio::process::Command::new("python3");
    command.args([script, &url, SECRET]);
    let output = match command.output().await {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: python3 cannot be started: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["9 MB pipeline", "11 MB push elsewhere"] {
        assert!(text.contains(&format!("{name} 20")), "{text}");
    }
    // Lines are `NAME STATUS`, and the response if it was an error.
    for line in text.lines() {
        let status = line.rsplit(' ').next().unwrap_or_default();
        assert!(matches!(status, "200" | "204"), "{text}");
    }
    assert_eq!(text.lines().count(), 15, "{text}");
}
