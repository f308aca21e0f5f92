//! Requests without a token: which ones are allowed, and the limits of their resources.

use std::net::SocketAddr;

use buildbtw_model::TokenScope;
use buildbtw_model::api::ProblemKind;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{PATIENCE, Srcinfo, TestServer, eventually, expect_problem};

const PLANS: &str = "/api/v1/plans";
/// The memory limit for anonymous bodies of one address, and the maximum size of an anonymous body.
const SHARE: usize = 1 << 20;
const LARGEST: usize = 64 << 10;

async fn server() -> TestServer {
    TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
        let next = Srcinfo::new("libgreet", "2.0-1").text();
        sources.push_to("libgreet", "next", Some(&next));
    })
    .await
}

async fn plan(server: &TestServer, token: Option<&str>, body: &Value) -> Response {
    let mut request = server.request(Method::POST, PLANS).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn requires_token_for_plans_of_other_than_default_branches() {
    let server = server().await;
    let unauthenticated = ProblemKind::Unauthenticated;
    let main = json!({ "changesets": ["libgreet/main"] });
    let response = plan(&server, None, &main).await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("greet"));
    let next = json!({ "changesets": ["libgreet/next"] });
    let problem = expect_problem(plan(&server, None, &next).await, 401, unauthenticated).await;
    assert!(problem.title.contains("libgreet/next"), "{problem:?}");
    assert!(problem.hint.is_some());
    let request = json!({ "changesets": ["https://git.example.org/g/p/-/merge_requests/1"] });
    expect_problem(plan(&server, None, &request).await, 401, unauthenticated).await;
    let many: Vec<_> = (0..21).map(|number| format!("p{number}/main")).collect();
    let many = json!({ "changesets": many });
    expect_problem(plan(&server, None, &many).await, 401, unauthenticated).await;
    let patterns = json!({ "changesets": ["libgreet/main"], "include": vec!["x*"; 1_001] });
    let response = plan(&server, None, &patterns).await;
    expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    let unknown = json!({ "changesets": ["nothing/main"] });
    let response = plan(&server, None, &unknown).await;
    expect_problem(response, 422, ProblemKind::UnknownPkgbase).await;
    // A worker's token has no effect here, a client's token raises the limits, and a wrong one is rejected.
    let worker = server.token(TokenScope::Worker).await;
    let client = server.token(TokenScope::Client).await;
    let response = plan(&server, Some(&worker), &next).await;
    expect_problem(response, 401, unauthenticated).await;
    assert_eq!(plan(&server, Some(&client), &next).await.status(), 200);
    let response = plan(&server, Some(&client), &many).await;
    expect_problem(response, 422, ProblemKind::UnknownPkgbase).await;
    let response = plan(&server, Some("guess"), &main).await;
    expect_problem(response, 401, unauthenticated).await;
}

#[tokio::test]
async fn plan_requests_store_nothing() {
    let server = server().await;
    let token = server.token(TokenScope::Client).await;
    let before = server.number("select count(*) from srcinfo").await;
    for (token, git_ref) in [
        (None, "main"),
        (Some(&*token), "main"),
        (Some(&*token), "next"),
    ] {
        let body = json!({ "changesets": [format!("libgreet/{git_ref}")] });
        assert_eq!(plan(&server, token, &body).await.status(), 200);
    }
    assert_eq!(server.number("select count(*) from srcinfo").await, before);
    // A namespace needs it.
    server.namespace("bump", &["libgreet/next"]).await;
    let after = server.number("select count(*) from srcinfo").await;
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn rate_limits_anonymous_plans() {
    let server = server().await;
    let body = json!({ "changesets": ["libgreet/main"], "scope": "origin" });
    let mut responses = Vec::new();
    for _ in 0..70 {
        responses.push(plan(&server, None, &body).await);
    }
    assert_eq!(responses[0].status(), 200);
    let last = responses.pop().unwrap();
    assert!(last.headers().contains_key(header::RETRY_AFTER));
    expect_problem(last, 429, ProblemKind::TooManyRequests).await;
    let token = server.token(TokenScope::Client).await;
    assert_eq!(plan(&server, Some(&token), &body).await.status(), 200);
}

#[tokio::test]
async fn garbage_collects_unreferenced_texts() {
    let mut server = server().await;
    server.namespace("bump", &["libgreet/next"]).await;
    let used = server.number("select count(*) from srcinfo").await;
    // One text has been unused for long, one is unused from now on, and all others were marked unused by mistake.
    server.sql("update srcinfo set unused_since = 1").await;
    server
        .sql(
            "insert into srcinfo (sha256, parser, parsed, text, unused_since)
             values ('old', 1, '{}', 't', 1), ('new', 1, '{}', 't', null)",
        )
        .await;
    server.stop().await;
    server.start_again().await;
    eventually("the old text is removed", async || {
        let old = server
            .number("select count(*) from srcinfo where sha256 = 'old'")
            .await;
        (old == 0).then_some(())
    })
    .await;
    let noted = "select count(*) from srcinfo where unused_since is not null";
    assert_eq!(server.number(noted).await, 1);
    assert_eq!(
        server.number("select count(*) from srcinfo").await,
        used + 1
    );
    // A text that is used again is not removed.
    server.namespace("again", &["libgreet/next"]).await;
    assert_eq!(server.iteration("again").await.origins.len(), 1);
}

#[tokio::test]
async fn limits_size_of_anonymous_bodies() {
    let server = server().await;
    let attempt = buildbtw_model::AttemptId::new();
    let exchange = format!("/api/v1/attempts/{attempt}/exchange");
    let large = json!({ "changesets": ["libgreet/main"], "exclude": ["x".repeat(LARGEST)] });
    for path in [PLANS, &exchange] {
        let request = server.request(Method::POST, path).json(&large);
        let response = request.send().await.unwrap();
        expect_problem(response, 413, ProblemKind::TooLarge).await;
    }
}

/// Sends this many bytes of a body of the maximum size once the server reads it, and then stalls.
async fn stalled(server: &TestServer, from: &str, sent: usize) -> TcpStream {
    let mut stream = connect(server, from).await;
    let head = format!(
        "POST {PLANS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {LARGEST}\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = [0; 25];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

async fn connect(server: &TestServer, from: &str) -> TcpStream {
    let address: SocketAddr = server
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

/// Requests a plan from an address.
fn request_plan(server: &TestServer, from: [u8; 4]) -> impl Future<Output = Response> + use<> {
    let builder = reqwest::Client::builder().local_address(std::net::IpAddr::from(from));
    let request = builder
        .build()
        .unwrap()
        .post(format!("{}{PLANS}", server.url()));
    let body = json!({ "changesets": ["libgreet/main"], "scope": "origin" });
    let sent = request.json(&body).send();
    async { sent.await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserves_memory_for_received_bytes_instead_of_content_length() {
    let server = server().await;
    let mut held = Vec::new();
    for from in ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        for _ in 0..64 {
            held.push(stalled(&server, from, 1).await);
        }
    }
    for from in [[127, 0, 0, 2], [127, 0, 0, 6]] {
        assert_eq!(request_plan(&server, from).await.status(), 200);
    }
    // The server does not wait long for the rest of a body.
    let mut response = Vec::new();
    let reading = held[0].read_to_end(&mut response);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_bodies_wait_for_memory() {
    let server = server().await;
    let mut held = Vec::new();
    for _ in 0..SHARE / LARGEST + 1 {
        held.push(stalled(&server, "127.0.0.2", LARGEST - 1).await);
    }
    // Other addresses have their own share, and so have authenticated requests.
    assert_eq!(request_plan(&server, [127, 0, 0, 3]).await.status(), 200);
    let token = server.token(TokenScope::Client).await;
    let body = json!({ "changesets": ["libgreet/main"], "scope": "origin" });
    let response = plan(&server, Some(&token), &body).await;
    assert_eq!(response.status(), StatusCode::OK);
    // Waiting requests get the memory that is released.
    let waiting = tokio::spawn(request_plan(&server, [127, 0, 0, 2]));
    held.clear();
    assert_eq!(waiting.await.unwrap().status(), 200);
}
