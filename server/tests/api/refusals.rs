//! The texts of refusals that routes return: title, detail and hint, as a caller reads them.
//! `server/src/service/refusal_snapshots.rs` has those that no simple request produces.

use std::fmt::Write as _;

use buildbtw_model::api::Problem;
use buildbtw_model::{ClaimId, FailureKind, TokenScope};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::planning::server_over;
use crate::support::{Srcinfo, TestServer, refusal};

const NAMESPACES: &str = "/api/v1/namespaces";
const PLANS: &str = "/api/v1/plans";
const EXCHANGE: &str = "/api/v1/attempts/00000000-0000-7000-8000-000000000001/exchange";

/// What callers of a server get.
struct Recorder<'a> {
    server: &'a TestServer,
    text: String,
}

impl Recorder<'_> {
    /// Sends a request that must be refused, and appends the refusal.
    async fn record(&mut self, name: &str, request: RequestBuilder) {
        let response = request.send().await.unwrap();
        let status = response.status();
        assert!(status.is_client_error(), "{name}: {status}");
        let problem: Problem = response.json().await.unwrap();
        let Problem {
            title,
            detail,
            hint,
            ..
        } = &problem;
        let _ = writeln!(self.text, "## {name} ({})\n{title}", status.as_u16());
        for (label, part) in [("detail", detail), ("hint", hint)] {
            if let Some(part) = part {
                let _ = writeln!(self.text, "{label}: {part}");
            }
        }
        self.text.push('\n');
    }

    async fn get(&mut self, name: &str, path: &str) {
        let request = self.server.admin_request(Method::GET, path);
        self.record(name, request).await;
    }

    async fn post(&mut self, name: &str, path: &str, body: &Value) {
        let request = self.server.admin_request(Method::POST, path).json(body);
        self.record(name, request).await;
    }

    async fn post_as(&mut self, name: &str, path: &str, token: Option<&str>, body: &Value) {
        let mut request = self.server.request(Method::POST, path).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.record(name, request).await;
    }
}

fn new(changesets: &[&str], more: &[(&str, Value)]) -> Value {
    let mut body = json!({ "changesets": changesets });
    for (name, value) in more {
        body[*name] = value.clone();
    }
    body
}

async fn tokens(recorder: &mut Recorder<'_>) {
    let server = recorder.server;
    let (client, worker) = (
        server.token(TokenScope::Client).await,
        server.token(TokenScope::Worker).await,
    );
    let body = new(&["a/main"], &[]);
    for (name, token) in [
        ("no token", None),
        ("unknown token", Some("bbtw_unknown")),
        ("token of another scope", Some(&*worker)),
    ] {
        recorder.post_as(name, NAMESPACES, token, &body).await;
    }
    let claim = "/api/v1/attempts/claim";
    recorder
        .post_as("no worker token", claim, Some(&client), &json!({}))
        .await;
    let token = json!({ "name": "t", "scope": "client" });
    let path = "/api/v1/tokens";
    recorder
        .post_as("no admin token", path, Some(&client), &token)
        .await;
    let unnamed = json!({ "name": "", "scope": "client" });
    recorder.post("token without a name", path, &unnamed).await;
    let expired = json!({ "name": "t", "scope": "client", "expires_in_s": 0 });
    recorder
        .post("token that has expired", path, &expired)
        .await;
    let of_attempt = json!({ "name": "t", "scope": "attempt" });
    recorder
        .post("token of an attempt", path, &of_attempt)
        .await;
}

async fn requests(recorder: &mut Recorder<'_>) {
    for (name, path) in [
        ("unknown page", "/api/v1/nothing"),
        ("another method", "/api/v1/plans"),
        ("unknown namespace", "/api/v1/namespaces/none"),
        ("unknown iteration", "/api/v1/namespaces/set/iterations/9"),
        ("unknown build", "/api/v1/builds/99"),
        ("unknown query parameter", "/api/v1/namespaces?curser=x"),
        ("page of no entries", "/api/v1/namespaces?limit=0"),
        ("foreign cursor", "/api/v1/namespaces?cursor=x"),
        ("invalid number", "/api/v1/builds/first"),
        ("invalid iteration", "/api/v1/namespaces/set/iterations/x"),
        ("invalid kind of event", "/api/v1/events?kind=x"),
        ("unknown package of a repository", "/repo/set/1/x86_64/x"),
        ("unknown repository", "/repo/set/9/x86_64/set.db"),
        ("no complete iteration", "/repo/set/latest/x86_64/set.db"),
    ] {
        recorder.get(name, path).await;
    }
    for (name, last) in [
        ("invalid event number", "x"),
        ("unknown event number", "99999"),
    ] {
        let events = recorder.server.admin_request(Method::GET, "/api/v1/events");
        recorder
            .record(name, events.header("last-event-id", last))
            .await;
    }
    let request = json!({ "id_token": "a", "token": "b", "worker": "w" });
    recorder
        .post_as("job of a server without GitLab", EXCHANGE, None, &request)
        .await;
    recorder
        .post_as(
            "webhook without secret",
            "/api/v1/webhooks/gitlab",
            None,
            &json!({}),
        )
        .await;
}

async fn rebuilds(recorder: &mut Recorder<'_>) {
    let many: Vec<String> = (0..2_000).map(|number| format!("p{number}")).collect();
    let lines: Vec<String> = many.iter().map(|name| format!("{name}/main")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (name, body) in [
        ("no changeset", new(&[], &[])),
        ("changeset given twice", new(&["a/main", "a/main"], &[])),
        ("unknown pkgbase", new(&["none/main"], &[])),
        ("unknown ref", new(&["a/none"], &[])),
        ("existing name", new(&["a/main"], &[("name", json!("set"))])),
        (
            "name of a base repository",
            new(&["a/main"], &[("name", json!("core"))]),
        ),
        (
            "invalid pattern",
            new(&["a/main"], &[("exclude", json!(["["]))]),
        ),
        (
            "too many patterns",
            new(&["a/main"], &[("exclude", json!(many))]),
        ),
        (
            "excluded origin",
            new(&["a/main"], &[("exclude", json!(["a"]))]),
        ),
        ("large plan", new(&["a/main"], &[("max_builds", json!(0))])),
        ("too many changesets", new(&lines, &[])),
        (
            "too many bootstrap builds",
            new(&["a/main"], &[("bootstrap", json!(many))]),
        ),
        (
            "merge request of another server",
            new(&["https://gitlab.example/g/a/-/merge_requests/1"], &[]),
        ),
        (
            "unknown field",
            new(&["a/main"], &[("scoop", json!("all"))]),
        ),
    ] {
        recorder.post(name, NAMESPACES, &body).await;
    }
    for (name, path, body) in [
        (
            "retry of a ready build",
            "retry",
            json!({ "pkgbases": ["a"] }),
        ),
        (
            "retry of another package",
            "retry",
            json!({ "pkgbases": ["z"] }),
        ),
        ("retry without failures", "retry", json!({})),
        ("resume of a running rebuild", "resume", json!({})),
    ] {
        let path = format!("{NAMESPACES}/set/{path}");
        recorder.post(name, &path, &body).await;
    }
}

async fn bodies(recorder: &mut Recorder<'_>) {
    let cancel = format!("{NAMESPACES}/set/cancel");
    for (name, path, body) in [
        ("array as a body", NAMESPACES, "[]"),
        ("text as a body", NAMESPACES, "\"a/main\""),
        ("number as a body", NAMESPACES, "1"),
        ("truth value as a body", NAMESPACES, "true"),
        ("null as a body", NAMESPACES, "null"),
        ("body that is not JSON", NAMESPACES, "{"),
        ("body without need", &*cancel, "{\"a\":1}"),
    ] {
        let request = recorder.server.admin_request(Method::POST, path);
        let request = request.header("content-type", "application/json");
        recorder.record(name, request.body(body)).await;
    }
    let request = recorder.server.admin_request(Method::POST, NAMESPACES);
    recorder.record("body of no type", request.body("{}")).await;
}

async fn plans_without_a_token(recorder: &mut Recorder<'_>) {
    let many: Vec<String> = (0..21).map(|number| format!("p{number}/main")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (name, body) in [
        (
            "merge request",
            new(&["https://gitlab.example/g/a/-/merge_requests/1"], &[]),
        ),
        ("many changesets", new(&many, &[])),
        ("another branch", new(&["a/next"], &[])),
    ] {
        recorder.post_as(name, PLANS, None, &body).await;
    }
}

async fn parameters(recorder: &mut Recorder<'_>) {
    for (name, path) in [
        ("invalid query parameter", "/api/v1/namespaces?limit=x"),
        (
            "query parameter of a request without any",
            "/api/v1/namespaces/set?limit=1",
        ),
        ("empty entry of a list", "/api/v1/events?kind=build,"),
        ("invalid entry of a list", "/api/v1/events?package=a,%20"),
        (
            "unknown build of a repository",
            "/repo/set/1/x86_64/builds/99/set.db",
        ),
        (
            "repository for another architecture",
            "/repo/set/1/riscv64/set.db",
        ),
        (
            "PKGBUILD of an unknown attempt",
            "/api/v1/attempts/00000000-0000-7000-8000-000000000001/pkgbuild",
        ),
    ] {
        recorder.get(name, path).await;
    }
    recorder.server.namespace("other", &["a/main"]).await;
    let events = format!("{NAMESPACES}/other/events");
    let events = recorder.server.admin_request(Method::GET, &events);
    recorder
        .record(
            "event of another namespace",
            events.header("last-event-id", "1"),
        )
        .await;
    let worker = recorder.server.token(TokenScope::Worker).await;
    let outcome = "/api/v1/attempts/00000000-0000-7000-8000-000000000001/outcome?retry=false";
    let outcome = recorder.server.request(Method::PUT, outcome);
    let success = json!({ "result": "succeeded", "packages": [] });
    recorder
        .record(
            "success that is final",
            outcome.bearer_auth(worker).json(&success),
        )
        .await;
}

#[tokio::test]
async fn refusals_of_routes_match_snapshots() {
    let (server, _base) = server_over(&[], |sources| {
        sources.push(&Srcinfo::new("a", "1-1"));
    })
    .await;
    server.namespace("set", &["a/main"]).await;
    let start = || Recorder {
        server: &server,
        text: String::new(),
    };
    let mut recorder = start();
    tokens(&mut recorder).await;
    insta::assert_snapshot!("tokens", recorder.text);
    let mut recorder = start();
    requests(&mut recorder).await;
    insta::assert_snapshot!("requests", recorder.text);
    let mut recorder = start();
    rebuilds(&mut recorder).await;
    insta::assert_snapshot!("rebuilds", recorder.text);
    let mut recorder = start();
    bodies(&mut recorder).await;
    insta::assert_snapshot!("bodies", recorder.text);
    let mut recorder = start();
    plans_without_a_token(&mut recorder).await;
    insta::assert_snapshot!("plans_without_a_token", recorder.text);
    let mut recorder = start();
    parameters(&mut recorder).await;
    insta::assert_snapshot!("parameters", recorder.text);
}

#[tokio::test]
async fn refusal_of_an_ended_claim_matches_snapshot() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("a", "1-1"));
    })
    .await;
    server.namespace("set", &["a/main"]).await;
    let worker = server.worker("w").await;
    let claim = ClaimId::new();
    let job = worker.claims_once(claim, 5).await.unwrap().unwrap();
    job.fails(FailureKind::Package, "no").await;
    let problem = refusal(worker.claims_once(claim, 0).await);
    let hint = problem.hint.unwrap_or_default();
    insta::assert_snapshot!("ended_claim", format!("{}\nhint: {hint}", problem.title));
}
