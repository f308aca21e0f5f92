//! Limits of connections, streams and requests: no client blocks others.

use std::net::SocketAddr;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{ClaimId, TokenScope};
use reqwest::{Client, Response, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{ServerOptions, Srcinfo, TestServer, eventually, expect_problem};

const NAMESPACES: &str = "/api/v1/namespaces";
const EVENTS: &str = "/api/v1/namespaces/bump/events";

async fn server(flags: &[&str]) -> TestServer {
    let options = ServerOptions {
        extra: flags.iter().map(|&flag| flag.to_owned()).collect(),
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

/// Returns a client at an address of this machine. It keeps one connection open after its first request.
fn client_at(address: &str) -> Client {
    let address: std::net::IpAddr = address.parse().unwrap();
    Client::builder().local_address(address).build().unwrap()
}

async fn get(client: &Client, server: &TestServer, path: &str) -> Response {
    let request = client.get(format!("{}{path}", server.url()));
    request.send().await.unwrap()
}

/// Sends a request through a proxy, which sets a header.
async fn get_as(
    proxy: &Client,
    server: &TestServer,
    path: &str,
    forwarded: (&str, &str),
) -> Response {
    let request = proxy.get(format!("{}{path}", server.url()));
    let request = request.header(forwarded.0, forwarded.1);
    request.send().await.unwrap()
}

async fn expect_full(response: Response) {
    let pause = response.headers().get(header::RETRY_AFTER).cloned();
    let pause = pause.expect("no Retry-After header");
    assert!(pause.to_str().unwrap().parse::<u32>().unwrap() > 0);
    let trace = response.headers()["x-request-id"].clone();
    let problem = expect_problem(response, 503, ProblemKind::Unavailable).await;
    let named = problem.trace_id.unwrap().to_string();
    assert_eq!(named, trace.to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_connections_per_address() {
    let server = server(&["--max-connections-per-address", "4"]).await;
    let mut held: Vec<_> = (0..4).map(|_| client_at("127.0.0.2")).collect();
    for client in &held {
        assert_eq!(get(client, &server, NAMESPACES).await.status(), 200);
    }
    expect_full(get(&client_at("127.0.0.2"), &server, NAMESPACES).await).await;
    // Open connections continue, and other addresses can connect.
    assert_eq!(get(&held[0], &server, NAMESPACES).await.status(), 200);
    let other = client_at("127.0.0.3");
    assert_eq!(get(&other, &server, NAMESPACES).await.status(), 200);
    held.pop();
    eventually("a free connection", async || {
        let status = get(&client_at("127.0.0.2"), &server, NAMESPACES)
            .await
            .status();
        (status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_connections_do_not_lock_out_authenticated_addresses() {
    let flags = [
        "--max-connections",
        "24",
        "--max-connections-per-address",
        "8",
    ];
    let server = server(&flags).await;
    let token = server.token(TokenScope::Worker).await;
    let worker = client_at("127.0.0.2");
    let identify = |client: &Client| {
        let request = client.get(format!("{}/api/v1/token", server.url()));
        let request = request.bearer_auth(&token);
        async move { request.send().await.unwrap().status() }
    };
    assert_eq!(identify(&worker).await, 200);
    // Anonymous clients from many addresses together get at most half of the reduced limit.
    let mut held = Vec::new();
    for address in ["127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        for _ in 0..8 {
            let client = client_at(address);
            if get(&client, &server, NAMESPACES).await.status() == 200 {
                held.push(client);
            }
        }
    }
    assert!((4..=12).contains(&held.len()), "{}", held.len());
    expect_full(get(&client_at("127.0.0.6"), &server, NAMESPACES).await).await;
    // The token of an anonymous address is not checked without capacity for its request.
    assert_eq!(identify(&client_at("127.0.0.6")).await, 503);
    // Authenticated addresses can connect.
    for _ in 0..4 {
        let again = client_at("127.0.0.2");
        assert_eq!(identify(&again).await, 200);
        held.push(again);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_rejected_connections_do_not_block_other_rejections() {
    let server = server(&["--max-connections-per-address", "1"]).await;
    let address: SocketAddr = server
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let mut silent = Vec::new();
    for _ in 0..200 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        silent.push(socket.connect(address).await.unwrap());
    }
    expect_full(get(&client_at("127.0.0.2"), &server, NAMESPACES).await).await;
    let other = client_at("127.0.0.3");
    assert_eq!(get(&other, &server, NAMESPACES).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_streams_per_address() {
    let server = server(&["--max-streams-per-address", "3"]).await;
    // Events, live logs and claims are counted together.
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    let log = format!("/api/v1/attempts/{}/log?follow=true", job.claimed.attempt);
    let token = server.token(TokenScope::Worker).await;
    let client = client_at("127.0.0.2");
    let first = get(&client, &server, EVENTS).await;
    let second = get(&client, &server, &log).await;
    assert_eq!(
        (first.status(), second.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    let claim = |worker: &str, wait_s: u32| {
        let request = client.post(format!("{}/api/v1/attempts/claim", server.url()));
        let body = json!({
            "claim": ClaimId::new(), "worker": worker, "architectures": ["x86_64"], "jobs": 1,
            "wait_s": wait_s,
        });
        request.bearer_auth(&token).json(&body).send()
    };
    assert_eq!(claim("hasty", 0).await.unwrap().status(), 204);
    let waiting = tokio::spawn(claim("patient", 40));
    eventually("the claim waits", async || {
        let noted = "select count(*) from worker where name = 'patient'";
        (server.number(noted).await > 0).then_some(())
    })
    .await;
    expect_full(get(&client, &server, EVENTS).await).await;
    expect_full(get(&client, &server, &log).await).await;
    expect_full(claim("hasty", 0).await.unwrap()).await;
    // An immediate response is not a stream, and other addresses have their own limit.
    assert_eq!(get(&client, &server, NAMESPACES).await.status(), 200);
    let other = client_at("127.0.0.3");
    assert_eq!(get(&other, &server, EVENTS).await.status(), 200);
    waiting.abort();
    drop((first, second));
    eventually("a free stream", async || {
        let response = get(&client, &server, EVENTS).await;
        (response.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_connections_of_trusted_proxy_per_client() {
    let flags = [
        "--trusted-proxy",
        "127.0.0.9",
        "--trusted-proxy",
        "fd00::/8,10.0.0.0/8",
        "--max-connections-per-address",
        "4",
        "--max-streams-per-address",
        "1",
    ];
    let server = server(&flags).await;
    let proxy = client_at("127.0.0.9");
    let events = async |name, value| get_as(&proxy, &server, EVENTS, (name, value)).await;
    let usual = "X-Forwarded-For";
    let mut open = Vec::new();
    // Each has its own stream, more than one address has connections.
    for (name, value) in [
        (usual, "203.0.113.1"),
        (usual, "203.0.113.2, 10.1.2.3"),
        (usual, "2001:db8::1"),
        (usual, "[2001:db8:0:1::1]:4711"),
        ("Forwarded", "for=203.0.113.3;proto=http"),
        (
            "Forwarded",
            "for=\"[2001:db8:0:2::1]:80\", for=\"[fd00::1]\"",
        ),
    ] {
        let response = events(name, value).await;
        assert_eq!(response.status(), 200, "{name}: {value}");
        open.push(response);
    }
    // They have no second one, whatever hops the header contains.
    for (name, value) in [
        (usual, "203.0.113.1"),
        (usual, "198.51.100.1, 203.0.113.1"),
        (usual, "198.51.100.1, 203.0.113.2, 10.1.2.3, 10.9.9.9"),
        (usual, "2001:db8::ffff"),
        (usual, "203.0.113.3:1"),
        ("Forwarded", "for=198.51.100.1, for=\"203.0.113.3:99\""),
        ("Forwarded", "for=\"[2001:db8:0:1::2]\""),
    ] {
        expect_full(events(name, value).await).await;
    }
    // Entries without an address count as the proxy itself.
    open.push(events(usual, "unknown").await);
    assert_eq!(open.last().unwrap().status(), 200);
    for value in ["", ",", "a, b", "1.2.3.4:x:y", "[::1", "for=1.2.3.4"] {
        expect_full(events(usual, value).await).await;
    }
    for value in ["for", "for=\"", "for=\"1.2.3.4", ";;=,", "for=_hidden"] {
        expect_full(events("Forwarded", value).await).await;
    }
    // Connections from other addresses count as themselves.
    let other = client_at("127.0.0.8");
    open.push(get_as(&other, &server, EVENTS, (usual, "203.0.113.77")).await);
    assert_eq!(open.last().unwrap().status(), 200);
    expect_full(get_as(&other, &server, EVENTS, (usual, "203.0.113.78")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_requests_through_proxy_by_client_address() {
    let flags = [
        "--trusted-proxy",
        "127.0.0.9",
        "--max-connections-per-address",
        "2",
    ];
    let server = server(&flags).await;
    let proxy = client_at("127.0.0.9");
    let named = |last: u8| format!("203.0.113.{last}");
    let ask = async |path: &str, last: u8| {
        get_as(&proxy, &server, path, ("X-Forwarded-For", &named(last))).await
    };
    let open = [
        ask(EVENTS, 1).await,
        ask(EVENTS, 1).await,
        ask(EVENTS, 2).await,
    ];
    assert!(open.iter().all(|response| response.status() == 200));
    expect_full(ask(NAMESPACES, 1).await).await;
    assert_eq!(ask(NAMESPACES, 2).await.status(), 200);
    drop(open);
    eventually("room for a request", async || {
        (ask(NAMESPACES, 1).await.status() == 200).then_some(())
    })
    .await;
    // Wrong tokens count for the client address in the header, too.
    let guess = async |last: u8| {
        let request = proxy.get(format!("{}/api/v1/token", server.url()));
        let request = request.header("X-Forwarded-For", named(last));
        request.bearer_auth("guess").send().await.unwrap().status()
    };
    for _ in 0..20 {
        assert_eq!(guess(3).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess(3).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess(4).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn limits_http2_connections_to_32_concurrent_requests() {
    const SETTINGS: u8 = 4;
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let server = TestServer::start(|_| {}).await;
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The preface, and settings that change nothing (RFC 9113, section 3.4).
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], SETTINGS);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut settings = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut settings).await.unwrap();
    let streams = settings.chunks(6).find_map(|setting| {
        let (name, value) = setting.split_at(2);
        let name = u16::from_be_bytes(name.try_into().unwrap());
        let value = u32::from_be_bytes(value.try_into().unwrap());
        (name == MAX_CONCURRENT_STREAMS).then_some(value)
    });
    assert_eq!(streams, Some(32));
}

#[tokio::test]
async fn rejects_invalid_setting() {
    for flags in [
        ["--trusted-proxy", "10.0.0.0/33"],
        ["--trusted-proxy", "proxy.example.org"],
        ["--max-connections-per-address", "0"],
        ["--max-streams-per-address", "many"],
    ] {
        let mut arguments = ["buildbtw-server", "run", "--sources-dir", "/"].to_vec();
        arguments.extend(flags);
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let started = crate::support::start_server(&arguments, Default::default()).await;
        let error = started.err().expect("the server starts").to_string();
        assert!(error.contains(flags[0]), "{error}");
    }
}
