use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildbtw_fake_gitlab::{HookOptions, HookScope, ProjectId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::Fixture;

/// Receives webhooks.
#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    /// The statuses of the next responses; 200 when there are no more.
    responses: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn bodies(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(_, body)| serde_json::from_slice(body).unwrap())
            .collect()
    }

    fn keys(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let keys = got
            .iter()
            .map(|(headers, _)| headers["idempotency-key"].to_str().unwrap());
        keys.map(str::to_owned).collect()
    }

    fn refs(&self) -> Vec<String> {
        let bodies = self.bodies();
        bodies
            .iter()
            .map(|body| body["ref"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.got.lock().unwrap().push((headers, body));
    let response = receiver
        .responses
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or(200);
    StatusCode::from_u16(response).unwrap()
}

fn commit(fixture: &Fixture, project: ProjectId, branch: &str) -> String {
    let files: [(&str, Option<&[u8]>); 1] = [(branch, Some(b"1"))];
    fixture
        .gitlab
        .commit(project, branch, &files, "Change")
        .unwrap()
}

async fn fixture() -> (Fixture, ProjectId, Receiver, String) {
    let fixture = Fixture::new().await;
    fixture.import(1);
    let project = fixture.gitlab.project_id("pkgs/p0").unwrap();
    let (receiver, url) = Receiver::start().await;
    (fixture, project, receiver, url)
}

#[tokio::test]
async fn sends_webhooks_for_events() {
    let (fixture, project, receiver, url) = fixture().await;
    let scope = HookScope::Group("pkgs".into());
    let options = HookOptions {
        token: Some("secret".into()),
        ..HookOptions::everything(url)
    };
    fixture.gitlab.add_hook(scope, options).unwrap();
    let before = fixture.gitlab.head(project, None).unwrap().unwrap();
    let after = commit(&fixture, project, "main");
    let side = commit(&fixture, project, "side");
    fixture
        .gitlab
        .tag(project, "v1", None, Some("One"))
        .unwrap();
    fixture.gitlab.delete_branch(project, "side").unwrap();
    fixture.gitlab.deliveries_done().await;
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 4);
    let push = &bodies[0];
    assert_eq!(push["object_kind"], "push");
    assert_eq!(
        (&push["before"], &push["after"]),
        (&before.into(), &after.clone().into())
    );
    assert_eq!(push["project"]["path_with_namespace"], "pkgs/p0");
    assert_eq!(push["total_commits_count"], 1);
    assert_eq!(push["commits"][0]["added"], serde_json::json!(["main"]));
    let zeros = "0".repeat(40);
    assert_eq!(
        (&bodies[1]["before"], &bodies[1]["after"]),
        (&zeros.clone().into(), &side.into())
    );
    assert_eq!(bodies[1]["total_commits_count"], 1);
    let tag = &bodies[2];
    assert_eq!(
        (&tag["object_kind"], &tag["ref"]),
        (&"tag_push".into(), &"refs/tags/v1".into())
    );
    assert_eq!(tag["checkout_sha"], after);
    assert_ne!(tag["after"], after);
    assert_eq!(
        (&bodies[3]["after"], &bodies[3]["checkout_sha"]),
        (&zeros.into(), &Value::Null)
    );
    let (headers, _) = receiver.got.lock().unwrap()[0].clone();
    assert_eq!(headers["x-gitlab-event"], "Push Hook");
    assert_eq!(headers["x-gitlab-token"], "secret");
    assert_eq!(headers["x-gitlab-instance"], fixture.gitlab.url());
    for name in [
        "x-gitlab-event-uuid",
        "x-gitlab-webhook-uuid",
        "idempotency-key",
    ] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("GitLab/")
    );
}

#[tokio::test]
async fn sends_webhooks_for_merge_requests() {
    let (fixture, project, receiver, url) = fixture().await;
    commit(&fixture, project, "side");
    fixture
        .gitlab
        .add_hook(HookScope::System, HookOptions::everything(url))
        .unwrap();
    let iid = fixture
        .gitlab
        .open_merge_request(project, "main", project, "side", "A")
        .unwrap();
    let files: [(&str, Option<&[u8]>); 1] = [("more", Some(b"1"))];
    fixture
        .gitlab
        .commit(project, "side", &files, "More")
        .unwrap();
    fixture.gitlab.merge(project, iid).unwrap();
    fixture.gitlab.deliveries_done().await;
    let received: Vec<(String, String)> = receiver
        .bodies()
        .iter()
        .map(|body| {
            let action = body["object_attributes"]["action"]
                .as_str()
                .unwrap_or_default();
            (
                body["object_kind"].as_str().unwrap().to_owned(),
                action.to_owned(),
            )
        })
        .collect();
    let expected = [
        ("merge_request", "open"),
        ("push", ""),
        ("merge_request", "update"),
        ("push", ""),
        ("merge_request", "merge"),
    ];
    assert_eq!(
        received,
        expected.map(|(kind, action)| (kind.to_owned(), action.to_owned()))
    );
    let bodies = receiver.bodies();
    assert!(bodies[2]["object_attributes"]["oldrev"].is_string());
    assert_eq!(bodies[4]["object_attributes"]["state"], "merged");
}

#[tokio::test]
async fn signs_deliveries() {
    let (fixture, project, receiver, url) = fixture().await;
    let key: Vec<u8> = (0..32).collect();
    let options = HookOptions {
        signing_token: Some(format!("whsec_{}", STANDARD.encode(&key))),
        ..HookOptions::everything(url)
    };
    fixture
        .gitlab
        .add_hook(HookScope::Project("pkgs/p0".into()), options)
        .unwrap();
    commit(&fixture, project, "main");
    fixture.gitlab.deliveries_done().await;
    let (headers, body) = receiver.got.lock().unwrap()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("webhook-id"), header("idempotency-key"));
    let timestamp = header("webhook-timestamp");
    assert_eq!(
        timestamp,
        fixture.gitlab.clock().now().as_second().to_string()
    );
    let mut signed = format!("{}.{timestamp}.", header("webhook-id")).into_bytes();
    signed.extend_from_slice(&body);
    let expected = format!("v1,{}", STANDARD.encode(reference_hmac(&key, &signed)));
    assert_eq!(header("webhook-signature"), expected);
}

/// Computes an HMAC according to RFC 2104, so that the library is not verified with itself.
fn reference_hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[tokio::test]
async fn retries_failed_deliveries_with_the_same_key() {
    let (fixture, project, receiver, url) = fixture().await;
    fixture
        .gitlab
        .add_hook(HookScope::System, HookOptions::everything(url))
        .unwrap();
    fixture
        .gitlab
        .webhooks()
        .set_attempts(3, std::time::Duration::from_millis(1));
    receiver
        .responses
        .lock()
        .unwrap()
        .extend([500, 503, 200, 500, 500, 500]);
    commit(&fixture, project, "main");
    fixture.gitlab.deliveries_done().await;
    let keys = receiver.keys();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));
    commit(&fixture, project, "other");
    fixture.gitlab.deliveries_done().await;
    let deliveries = fixture.gitlab.webhooks().deliveries();
    assert_eq!(
        deliveries
            .iter()
            .map(|one| one.delivered)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(
        (deliveries[1].attempts, deliveries[1].status),
        (3, Some(500))
    );
    fixture.gitlab.webhooks().resend(deliveries[1].id).unwrap();
    fixture.gitlab.deliveries_done().await;
    assert_eq!(receiver.keys().last(), Some(&deliveries[1].idempotency_key));
    assert!(fixture.gitlab.webhooks().deliveries()[1].delivered);
}

#[tokio::test]
async fn fault_settings_disturb_deliveries() {
    let (fixture, project, receiver, url) = fixture().await;
    fixture
        .gitlab
        .add_hook(HookScope::System, HookOptions::everything(url.clone()))
        .unwrap();
    let hooks = fixture.gitlab.webhooks();
    let done = async || {
        fixture.gitlab.deliveries_done().await;
        let refs = receiver.refs();
        receiver.got.lock().unwrap().clear();
        refs.iter()
            .map(|name| name.replace("refs/heads/", ""))
            .collect::<Vec<_>>()
    };
    hooks.set_drop(true);
    commit(&fixture, project, "a");
    assert!(done().await.is_empty());
    hooks.set_drop(false);
    hooks.set_duplicate(true);
    commit(&fixture, project, "b");
    assert_eq!(done().await, ["b", "b"]);
    hooks.set_duplicate(false);
    hooks.hold();
    commit(&fixture, project, "c");
    commit(&fixture, project, "d");
    assert!(done().await.is_empty());
    hooks.release_reversed();
    assert_eq!(done().await, ["d", "c"]);
    hooks.set_delay(std::time::Duration::from_millis(60));
    let start = std::time::Instant::now();
    commit(&fixture, project, "e");
    assert_eq!(done().await, ["e"]);
    assert!(start.elapsed().as_millis() >= 60);
    hooks.set_delay(std::time::Duration::ZERO);
    hooks.forge(
        &url,
        &[("X-Gitlab-Event", "Push Hook")],
        br#"{"ref":"forged"}"#,
    );
    assert_eq!(done().await, ["forged"]);
}

#[tokio::test]
async fn sends_no_webhook_for_push_of_many_refs() {
    let (fixture, _, receiver, url) = fixture().await;
    fixture
        .gitlab
        .add_hook(HookScope::System, HookOptions::everything(url))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let remote = fixture
        .gitlab
        .git_url("pkgs/p0")
        .replace("//", &format!("//x:{}@", fixture.token));
    let push = async |refs: &'static [&'static str]| {
        let folder = folder.path().to_owned();
        let remote = remote.clone();
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["push", "-q", &remote];
            arguments.extend(refs);
            crate::git::git(&folder, &arguments).unwrap();
        })
        .await
        .unwrap();
        fixture.gitlab.deliveries_done().await;
        receiver.bodies().len()
    };
    crate::git::git(folder.path(), &["init", "-q"]).unwrap();
    crate::git::git(
        folder.path(),
        &["commit", "-q", "--allow-empty", "-m", "First"],
    )
    .unwrap();
    assert_eq!(
        push(&["HEAD:refs/heads/a", "HEAD:refs/heads/b", "HEAD:refs/tags/c"]).await,
        3
    );
    let many = [
        "HEAD:refs/heads/d",
        "HEAD:refs/heads/e",
        "HEAD:refs/heads/f",
        "HEAD:refs/tags/g",
    ];
    let many: &'static [&'static str] = Box::leak(Box::new(many));
    assert_eq!(push(many).await, 3);
}
