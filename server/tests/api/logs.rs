//! Build logs: written in chunks by offset, read while they grow.

use buildbtw_model::FailureKind;
use buildbtw_model::api::ProblemKind;
use reqwest::{Method, header};

use crate::support::{
    FakeWorker, Job, PATIENCE, ServerOptions, Srcinfo, TestServer, expect_problem, refusal,
};

async fn building_with(options: ServerOptions) -> (TestServer, FakeWorker, Job) {
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    (server, worker, job)
}

async fn building() -> (TestServer, FakeWorker, Job) {
    building_with(ServerOptions::default()).await
}

async fn log(server: &TestServer, job: &Job, offset: u64) -> String {
    let response = server
        .public()
        .log(job.claimed.attempt, offset, false)
        .await
        .unwrap();
    response.text().await.unwrap()
}

#[tokio::test]
async fn assembles_chunks_by_offset() {
    let (server, _, job) = building().await;
    assert_eq!(log(&server, &job, 0).await, "");
    assert_eq!(job.logs(0, "hello ").await.unwrap().length, 6);
    // Sent again, because the response was lost.
    assert_eq!(job.logs(0, "hello ").await.unwrap().length, 6);
    // Overlaps an earlier chunk.
    assert_eq!(job.logs(3, "lo wörld").await.unwrap().length, 12);
    // Beyond the end: the response contains the offset to continue from.
    assert_eq!(job.logs(50, "hole").await.unwrap().length, 12);
    assert_eq!(job.logs(12, "").await.unwrap().length, 12);
    assert_eq!(job.logs(12, "!\n").await.unwrap().length, 14);
    assert_eq!(log(&server, &job, 0).await, "hello wörld!\n");
    assert_eq!(log(&server, &job, 6).await, "wörld!\n");
    assert_eq!(log(&server, &job, 14).await, "");
    assert_eq!(log(&server, &job, 1_000_000).await, "");
}

#[tokio::test]
async fn writes_chunk_once_for_concurrent_senders() {
    let (server, _, job) = building().await;
    let piece = "x".repeat(50_000);
    let all = (0..8).map(|_| job.logs(0, &piece));
    for appended in futures_util::future::join_all(all).await {
        assert_eq!(appended.unwrap().length, 50_000);
    }
    assert_eq!(log(&server, &job, 0).await, piece);
}

#[tokio::test]
async fn follows_log_until_the_attempt_ends() {
    let (server, _, job) = building().await;
    job.logs(0, "one\n").await.unwrap();
    let mut following = server
        .public()
        .log(job.claimed.attempt, 0, true)
        .await
        .unwrap();
    let mut read = Vec::new();
    let mut offset = 4;
    for (expected, next) in [("one\n", "two\n"), ("two\n", "three\n"), ("three\n", "")] {
        while !read.ends_with(expected.as_bytes()) {
            let piece = tokio::time::timeout(PATIENCE, following.chunk()).await;
            let piece = piece
                .expect("no chunk arrived")
                .unwrap()
                .expect("the stream ended early");
            read.extend_from_slice(&piece);
        }
        offset = job.logs(offset, next).await.unwrap().length;
    }
    job.succeeds().await;
    let end = tokio::time::timeout(PATIENCE, following.chunk()).await;
    assert!(end.expect("the stream does not end").unwrap().is_none());
    assert_eq!(read, b"one\ntwo\nthree\n");
}

/// Follows a log as events, and returns the text of the stream when it has ended.
async fn events(server: &TestServer, job: &Job, last: Option<&str>) -> String {
    let path = format!("/api/v1/attempts/{}/log?follow=true", job.claimed.attempt);
    let request = server.request(Method::GET, &path);
    let mut request = request.header(header::ACCEPT, "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let text = tokio::time::timeout(PATIENCE, response.text()).await;
    text.expect("the stream does not end").unwrap()
}

#[tokio::test]
async fn streams_lines_as_events_that_continue_after_the_last_one() {
    let (server, _, job) = building().await;
    job.logs(0, "one\nzw").await.unwrap();
    let writing = async {
        job.logs(6, "ö\n").await.unwrap();
        job.logs(9, "end").await.unwrap();
        job.succeeds().await;
    };
    let ((), text) = tokio::join!(writing, events(&server, &job, None));
    let field = |name: &'static str| text.lines().filter_map(move |line| line.strip_prefix(name));
    let lines: String = field("data: ")
        .filter_map(|data| serde_json::from_str::<String>(data).ok())
        .collect();
    assert_eq!(lines, "one\nzwö\nend", "whole characters only: {text}");
    assert!(text.contains("event: end"), "{text}");
    assert_eq!(field("id: ").next_back(), Some("12"), "{text}");
    assert!(
        field("id: ").all(|id| ["4", "9", "12"].contains(&id)),
        "{text}"
    );
    let response = server.request(
        Method::GET,
        &format!("/api/v1/attempts/{}/log?follow=true", job.claimed.attempt),
    );
    let rest = response.header("last-event-id", "4").send().await.unwrap();
    assert_eq!(rest.text().await.unwrap(), "zwö\nend");
}

#[tokio::test]
async fn continues_followed_log_after_last_event_id() {
    let (server, _, job) = building().await;
    job.logs(0, "one\ntwo\n").await.unwrap();
    let writing = async {
        job.logs(8, "three\n").await.unwrap();
        job.succeeds().await;
    };
    let ((), text) = tokio::join!(writing, events(&server, &job, Some("4")));
    assert!(!text.contains("one") && text.contains("two"), "{text}");
    assert!(text.contains("three"), "{text}");
    let whole = events(&server, &job, Some("")).await;
    assert!(whole.contains("one"), "an empty id is none: {whole}");
    let at_end = events(&server, &job, Some("14")).await;
    assert!(!at_end.contains("three") && at_end.contains("event: end"));
}

#[tokio::test]
async fn refuses_event_ids_beyond_the_log() {
    let (server, _, job) = building().await;
    job.logs(0, "one\n").await.unwrap();
    let path = format!("/api/v1/attempts/{}/log?follow=true", job.claimed.attempt);
    for accept in ["text/event-stream", "text/plain"] {
        for id in ["5", "9223372036854775807"] {
            let request = server.request(Method::GET, &path);
            let request = request.header(header::ACCEPT, accept);
            let response = request.header("last-event-id", id).send().await.unwrap();
            let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
            assert_eq!(problem.detail.unwrap(), "the log has 4 bytes");
            assert!(problem.hint.unwrap().contains("Last-Event-ID"));
        }
    }
}

#[tokio::test]
async fn ends_following_with_failed_and_lost_attempts() {
    let (server, worker, job) = building().await;
    let following = server
        .public()
        .log(job.claimed.attempt, 0, true)
        .await
        .unwrap();
    server.expire_leases();
    let text = tokio::time::timeout(PATIENCE, following.text())
        .await
        .expect("the stream does not end");
    assert_eq!(text.unwrap(), "==> buildbtw: lost contact with worker w\n");

    let job = worker.claims().await;
    let following = server
        .public()
        .log(job.claimed.attempt, 0, true)
        .await
        .unwrap();
    job.logs(0, "==> ERROR\n").await.unwrap();
    job.fails(FailureKind::Package, "it failed").await;
    let text = tokio::time::timeout(PATIENCE, following.text())
        .await
        .expect("the stream does not end");
    assert_eq!(text.unwrap(), "==> ERROR\n");
}

#[tokio::test]
async fn ends_following_of_finished_attempt_immediately() {
    let (server, _, job) = building().await;
    job.logs(0, "all of it\n").await.unwrap();
    job.succeeds().await;
    let following = server
        .public()
        .log(job.claimed.attempt, 4, true)
        .await
        .unwrap();
    let text = tokio::time::timeout(PATIENCE, following.text())
        .await
        .expect("the stream does not end");
    assert_eq!(text.unwrap(), "of it\n");
}

#[tokio::test]
async fn serves_log_as_text_for_any_build_output() {
    let (server, _, job) = building().await;
    job.logs(0, "<script>alert(1)</script>").await.unwrap();
    let path = format!("/api/v1/attempts/{}/log", job.claimed.attempt);
    let response = server.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn rejects_chunks_over_the_limit() {
    let (server, worker, job) = building().await;
    let limit = 1024 * 1024;
    let whole = "x".repeat(limit);
    assert_eq!(job.logs(0, &whole).await.unwrap().length, limit as u64);
    let path = format!(
        "/api/v1/attempts/{}/log?offset={limit}",
        job.claimed.attempt
    );
    let request = server
        .request(Method::POST, &path)
        .bearer_auth(&worker.token);
    let response = request.body("x".repeat(limit + 1)).send().await.unwrap();
    expect_problem(response, 413, ProblemKind::TooLarge).await;
    assert_eq!(
        job.logs(limit as u64, "y").await.unwrap().length,
        limit as u64 + 1
    );
}

#[tokio::test]
async fn rejects_overlong_log_and_keeps_its_start() {
    let options = ServerOptions {
        extra: vec!["--max-log-mib".into(), "1".into()],
        ..Default::default()
    };
    let (server, _, job) = building_with(options).await;
    let limit = 1024 * 1024;
    job.logs(0, &"x".repeat(limit)).await.unwrap();
    let problem = refusal(job.logs(limit as u64, "one more").await);
    assert_eq!((problem.status, problem.kind), (413, ProblemKind::TooLarge));
    assert!(problem.title.contains("1 MiB"), "{problem:?}");
    let far = refusal(job.logs(u64::MAX, "far").await);
    assert_eq!(far.kind, ProblemKind::TooLarge);
    assert_eq!(log(&server, &job, 0).await.len(), limit);
    job.succeeds().await;
}

#[tokio::test]
async fn rejects_malformed_offsets() {
    let (server, worker, job) = building().await;
    for query in ["", "?offset=", "?offset=-1", "?offset=x"] {
        let path = format!("/api/v1/attempts/{}/log{query}", job.claimed.attempt);
        let request = server
            .request(Method::POST, &path)
            .bearer_auth(&worker.token);
        let response = request.body("text").send().await.unwrap();
        expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    }
}

fn header_of(response: &reqwest::Response, name: header::HeaderName) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

async fn send_request(
    server: &TestServer,
    method: Method,
    path: &str,
    headers: &[(header::HeaderName, &str)],
) -> reqwest::Response {
    let mut request = server.request(method, path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn serves_finished_logs_with_length_and_ranges() {
    let (server, _, job) = building().await;
    job.logs(0, "0123456789").await.unwrap();
    let path = format!("/api/v1/attempts/{}/log", job.claimed.attempt);

    // While it grows, it has a length but no tag: the next line changes it.
    let response = send_request(&server, Method::GET, &path, &[]).await;
    assert_eq!(
        header_of(&response, header::CONTENT_LENGTH).as_deref(),
        Some("10")
    );
    assert_eq!(header_of(&response, header::ETAG), None);
    assert_eq!(
        header_of(&response, header::CACHE_CONTROL).as_deref(),
        Some("no-store")
    );
    let follow = format!("{path}?follow=true");
    let response = send_request(&server, Method::HEAD, &follow, &[]).await;
    assert_eq!(header_of(&response, header::CONTENT_LENGTH), None);
    assert_eq!(header_of(&response, header::ACCEPT_RANGES), None);
    job.fails(FailureKind::Package, "no").await;

    let whole = send_request(&server, Method::GET, &path, &[]).await;
    assert_eq!(
        header_of(&whole, header::CONTENT_LENGTH).as_deref(),
        Some("10")
    );
    assert_eq!(
        header_of(&whole, header::ACCEPT_RANGES).as_deref(),
        Some("bytes")
    );
    let tag = header_of(&whole, header::ETAG).unwrap();
    assert_eq!(whole.text().await.unwrap(), "0123456789");

    for (range, status, content_range, text) in [
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=5-500", 206, Some("bytes 5-9/10"), "56789"),
        ("bytes=10-", 416, Some("bytes */10"), ""),
        ("bytes=1-2,4-5", 200, None, "0123456789"),
        ("bytes=x", 200, None, "0123456789"),
    ] {
        let range = [(header::RANGE, range)];
        let response = send_request(&server, Method::GET, &path, &range).await;
        assert_eq!(response.status().as_u16(), status, "{range:?}");
        assert_eq!(
            header_of(&response, header::CONTENT_RANGE).as_deref(),
            content_range
        );
        let length = text.len().to_string();
        assert_eq!(header_of(&response, header::CONTENT_LENGTH), Some(length));
        let media_type = header_of(&response, header::CONTENT_TYPE);
        assert_eq!(media_type.as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(response.text().await.unwrap(), text);
        // Ranges apply to GET only.
        let response = send_request(&server, Method::HEAD, &path, &range).await;
        assert_eq!(response.status().as_u16(), 200, "{range:?}");
        let length = header_of(&response, header::CONTENT_LENGTH);
        assert_eq!(length.as_deref(), Some("10"));
    }
    // With an offset, ranges count from there.
    let tail = format!("{path}?offset=6&follow=true");
    let response = send_request(&server, Method::GET, &tail, &[(header::RANGE, "bytes=1-2")]).await;
    assert_eq!(
        header_of(&response, header::CONTENT_RANGE).as_deref(),
        Some("bytes 1-2/4")
    );
    assert_eq!(response.text().await.unwrap(), "78");

    let part = |known| [(header::RANGE, "bytes=0-0"), (header::IF_RANGE, known)];
    let response = send_request(&server, Method::GET, &path, &part(&tag)).await;
    assert_eq!(response.text().await.unwrap(), "0");
    let response = send_request(&server, Method::GET, &path, &part("\"another\"")).await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.text().await.unwrap().len()
        ),
        (200, 10)
    );
    let response = send_request(
        &server,
        Method::GET,
        &path,
        &[(header::IF_NONE_MATCH, &tag)],
    )
    .await;
    assert_eq!(response.status().as_u16(), 304);
    assert_eq!(header_of(&response, header::ETAG), Some(tag));
}

#[tokio::test]
async fn serves_empty_log() {
    let (server, _, job) = building().await;
    job.fails(FailureKind::Package, "no").await;
    let path = format!("/api/v1/attempts/{}/log", job.claimed.attempt);
    let response = send_request(&server, Method::GET, &path, &[]).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(
        header_of(&response, header::CONTENT_LENGTH).as_deref(),
        Some("0")
    );
    let response = send_request(&server, Method::GET, &path, &[(header::RANGE, "bytes=0-")]).await;
    assert_eq!(response.status().as_u16(), 416);
    assert_eq!(
        header_of(&response, header::CONTENT_RANGE).as_deref(),
        Some("bytes */0")
    );
}

#[tokio::test]
async fn reads_nothing_beyond_the_end() {
    let (server, _, job) = building().await;
    job.logs(0, "all there is").await.unwrap();
    let path = format!("/api/v1/attempts/{}/log", job.claimed.attempt);
    for offset in [
        "13",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
    ] {
        let request = server.request(Method::GET, &format!("{path}?offset={offset}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{offset}");
        assert_eq!(response.text().await.unwrap(), "", "{offset}");
    }
    let request = server.request(Method::GET, &format!("{path}?offset=18446744073709551616"));
    expect_problem(
        request.send().await.unwrap(),
        400,
        ProblemKind::InvalidRequest,
    )
    .await;
    // A follower from that offset waits for the end, as from any other.
    let follow = format!("{path}?offset=9223372036854775808&follow=true");
    let followed = server.request(Method::GET, &follow).send().await.unwrap();
    assert_eq!(followed.status(), 200);
    job.succeeds().await;
    assert_eq!(followed.text().await.unwrap(), "");
}

#[tokio::test]
async fn answers_with_an_error_where_it_cannot_read_the_log() {
    let (server, _worker, job) = building().await;
    let attempt = job.claimed.attempt;
    let path = server.data().join(format!("logs/{attempt}.log"));
    // Also root cannot open a socket as a file.
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for query in ["", "?follow=true"] {
        let path = format!("/api/v1/attempts/{attempt}/log{query}");
        let response = server.request(Method::GET, &path).send().await.unwrap();
        expect_problem(response, 500, ProblemKind::Internal).await;
    }
}
