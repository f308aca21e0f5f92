//! URLs of the server: below a path, with another host, and with the headers of browsers.

use std::collections::{BTreeMap, BTreeSet};

use buildbtw_model::client::Client;
use buildbtw_model::{BuildStatus, EventId, FailureKind};
use reqwest::{Method, StatusCode, header};

use crate::support::{FakeWorker, ServerOptions, Srcinfo, TestServer, eventually, new_namespace};

const URL: &str = "https://example.org/tools/buildbtw";
const PREFIX: &str = "/tools/buildbtw";

fn below(url: &str) -> ServerOptions {
    ServerOptions {
        extra: vec!["--url".into(), url.into()],
        ..ServerOptions::default()
    }
}

/// Starts a server with builds of every kind.
async fn busy(options: ServerOptions) -> TestServer {
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1:2.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
        sources.push(&Srcinfo::new("party", "1.0-1").depends(&["greet"]));
        let broken = sources.folder().join("broken");
        fs_err::create_dir_all(&broken).unwrap();
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    job.logs(0, "one line\n").await.unwrap();
    job.succeeds().await;
    let job = worker.claims_build_of("greet").await;
    job.fails(FailureKind::Package, "it does not compile").await;
    // Reuses the built packages.
    server.namespace("again", &["libgreet/main"]).await;
    eventually("libgreet is reused", async || {
        let build = server.build("again", "libgreet").await;
        (build.status == BuildStatus::Reused).then_some(())
    })
    .await;
    server
}

/// Returns the links and assets of a page.
fn references(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["href", "src", "action", "data-events", "data-follow"] {
        let start = format!(" {name}=\"");
        for rest in html.split(&start).skip(1) {
            let value = rest.split('"').next().unwrap().replace("&amp;", "&");
            let value = value.replace("&#38;", "&").replace("&#x26;", "&");
            found.push(value.split('#').next().unwrap().to_owned());
        }
    }
    found.retain(|value| !value.is_empty());
    found
}

/// Follows every link from `start` on, at the address to which `at` maps it. Returns the visited addresses.
async fn crawl(
    server: &TestServer,
    start: &[&str],
    at: impl Fn(&str) -> String,
) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut next: Vec<(String, String)> = start
        .iter()
        .map(|path| ((*path).to_owned(), "the test".to_owned()))
        .collect();
    while let Some((path, from)) = next.pop() {
        if seen.insert(path.clone(), from.clone()).is_some() {
            continue;
        }
        let response = server
            .request(Method::GET, &at(&path))
            .send()
            .await
            .unwrap();
        let status = response.status();
        assert!(status.is_success(), "{path}, linked by {from}: {status}");
        let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        if media_type.starts_with("text/html") {
            let html = response.text().await.unwrap();
            next.extend(
                references(&html)
                    .into_iter()
                    .map(|link| (link, path.clone())),
            );
        }
    }
    seen.into_keys().collect()
}

#[tokio::test]
async fn links_work_below_a_path_behind_both_kinds_of_proxy() {
    let server = busy(below(&format!("{URL}/"))).await;
    let home = format!("{PREFIX}/");
    let repo = format!("{PREFIX}/repo/");
    let kept = crawl(&server, &[&home, &repo], str::to_owned).await;
    for path in &kept {
        assert!(path.starts_with(&home), "{path}");
    }
    let expect = |part: &str| {
        assert!(
            kept.iter().any(|path| path.contains(part)),
            "{part}: {kept:?}"
        );
    };
    for part in [
        "/assets/",
        "style.css",
        "live.js",
        "/namespaces/bump/iterations/1",
        "/builds/",
        "?attempt=",
        "/sources",
        "/api/v1/namespaces/bump/events",
        "/log",
        "/repo/bump/1/x86_64/",
        "/repo/bump/current/x86_64/bump.db",
        "libgreet-1%3A2.0-1-x86_64.pkg.tar.zst",
    ] {
        expect(part);
    }
    let strip = |path: &str| path.strip_prefix(PREFIX).unwrap().to_owned();
    let stripped = crawl(&server, &[&home, &repo], strip).await;
    assert_eq!(kept, stripped);

    // Error pages link like all other pages; addresses next to the prefix are not below it.
    for path in ["/tools/buildbtw/nothing", "/tools/buildbtwo", "/tools"] {
        let response = server.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let html = response.text().await.unwrap();
        assert!(html.contains("href=\"/tools/buildbtw/\""), "{path}: {html}");
        assert!(!html.contains("href=\"/\""), "{path}: {html}");
    }
    let missing = format!("{PREFIX}/builds/999");
    let response = server.request(Method::GET, &missing).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let html = response.text().await.unwrap();
    assert!(html.contains("href=\"/tools/buildbtw/sources\""), "{html}");
}

#[tokio::test]
async fn clients_use_server_below_a_path() {
    let server = TestServer::start_with(below(URL), |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    for end in ["", "/"] {
        let address = format!("{}{PREFIX}{end}", server.url());
        let client = Client::new(&address, Some(server.admin_token())).unwrap();
        let created = client
            .create_namespace(&new_namespace(&["libgreet/main"]))
            .await;
        let created = created.unwrap();
        let name = created.summary.name.clone();
        assert_eq!(created.web_url, format!("{URL}/namespaces/{name}"));
        let mut events = client.events(&name, Some(EventId(0))).await.unwrap();
        assert!(events.next().await.unwrap().is_some());
        let detail = eventually("the rebuild is done or waits for a worker", async || {
            let detail = client.iteration(&name, None).await.unwrap();
            (end.is_empty() || detail.summary.status.is_final()).then_some(detail)
        })
        .await;
        let repository = &detail.architectures[0].repository;
        // The second one reuses the builds of the first, and is complete immediately.
        let which = if end.is_empty() { "current" } else { "latest" };
        let expected = format!("{URL}/repo/{name}/{which}");
        assert_eq!(repository.url, format!("{expected}/x86_64"));
        assert!(
            repository
                .pacman_conf
                .contains(&format!("Server = {expected}/$arch\n")),
            "{}",
            repository.pacman_conf
        );
        if end.is_empty() {
            let token = server.token(buildbtw_model::TokenScope::Worker).await;
            let worker = FakeWorker::new(&address, token, "w", &["x86_64"]);
            let job = worker.claims().await;
            let seen = &job.claimed.repositories[0].servers[0];
            assert!(
                seen.starts_with(&format!("{URL}/repo/{name}/1/x86_64/builds/")),
                "{seen}"
            );
            job.starts().await;
            job.logs(0, "built\n").await.unwrap();
            job.succeeds().await;
            let build = client.build(job.claimed.build).await.unwrap();
            assert!(build.packages[0].url.starts_with(&format!("{URL}/repo/")));
        }
    }
}

async fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = server.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn value<'a>(response: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

fn decoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut text = Vec::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text),
        "zstd" => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut text),
        other => panic!("unexpected build of {other}"),
    }
    .unwrap();
    text
}

#[tokio::test]
async fn compresses_responses_on_request() {
    let server = busy(ServerOptions::default()).await;
    let build = server.build("bump", "libgreet").await;
    let attempt = build.attempt.unwrap();
    // A log of a size that is compressed.
    let long = "a line of a log, and one more like it\n".repeat(400);
    fs_err::write(server.data().join(format!("logs/{attempt}.log")), &long).unwrap();
    let log = format!("/api/v1/attempts/{attempt}/log");
    let home = get(&server, "/", &[]).await.text().await.unwrap();
    let style = references(&home)
        .into_iter()
        .find(|path| path.ends_with(".css"))
        .unwrap();
    for path in [
        "/",
        "/namespaces/bump",
        "/api/v1/namespaces/bump/iterations/1",
        &log,
        &style,
        "/repo/bump/1/x86_64/",
    ] {
        let plain = get(&server, path, &[]).await;
        assert_eq!(value(&plain, "content-encoding"), None, "{path}");
        assert_eq!(value(&plain, "vary"), Some("accept-encoding"), "{path}");
        let plain = plain.bytes().await.unwrap();
        for encoding in ["gzip", "zstd"] {
            let response = get(&server, path, &[("accept-encoding", encoding)]).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(
                value(&response, "content-encoding"),
                Some(encoding),
                "{path}"
            );
            assert_eq!(value(&response, "vary"), Some("accept-encoding"), "{path}");
            assert_eq!(value(&response, "content-length"), None, "{path}");
            let bytes = response.bytes().await.unwrap();
            assert!(bytes.len() < plain.len(), "{path}");
            assert_eq!(decoded(encoding, &bytes).len(), plain.len(), "{path}");
        }
    }

    // A different tag, which still works for conditional requests.
    let response = get(&server, &style, &[("accept-encoding", "gzip")]).await;
    let tag = value(&response, "etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = [("accept-encoding", "gzip"), ("if-none-match", tag.as_str())];
    let response = get(&server, &style, &again).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(value(&response, "vary"), Some("accept-encoding"));
    // Ranges refer to the uncompressed bytes.
    let part = [("accept-encoding", "gzip"), ("range", "bytes=0-5")];
    let response = get(&server, &log, &part).await;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(value(&response, "content-encoding"), None);
    assert_eq!(response.text().await.unwrap(), &long[..6]);
}

#[tokio::test]
async fn sends_packages_and_streams_uncompressed() {
    let server = busy(ServerOptions::default()).await;
    let worker = server.worker("v").await;
    let job = worker.claims_build_of("greet").await;
    job.starts().await;
    let line = "a line of a log\n".repeat(200);
    job.logs(0, &line).await.unwrap();
    let any = [("accept-encoding", "gzip, zstd")];
    let log = format!("/api/v1/attempts/{}/log?follow=true", job.claimed.attempt);
    for path in [
        "/repo/bump/1/x86_64/bump.db",
        "/repo/bump/1/x86_64/libgreet-1:2.0-1-x86_64.pkg.tar.zst",
        "/api/v1/namespaces/bump/events",
        &log,
    ] {
        let response = get(&server, path, &any).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(value(&response, "content-encoding"), None, "{path}");
    }
    // Available data arrives although more will follow.
    let mut following = get(&server, &log, &any).await;
    assert_eq!(value(&following, "content-length"), None);
    let mut read = Vec::new();
    while read.len() < line.len() {
        read.extend(following.chunk().await.unwrap().unwrap());
    }
    assert_eq!(String::from_utf8(read).unwrap(), line);
}
