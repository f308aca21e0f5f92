//! Caching of a repository: tags, and addresses that never serve other bytes.

use reqwest::{Method, StatusCode, header};

use crate::repositories::{repository, with_built};
use crate::support::{Job, Srcinfo, TestServer, parse, reported};

/// Sends a request with a tag that the client knows.
async fn with_tag(server: &TestServer, path: &str, tag: &str) -> reqwest::Response {
    let request = server.request(Method::GET, path);
    let request = request.header(header::IF_NONE_MATCH, tag);
    request.send().await.unwrap()
}

fn header_of(response: &reqwest::Response, name: header::HeaderName) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

/// Makes reading a file list fail from now on.
async fn hide_file_lists(server: &TestServer) {
    server
        .sql("update package set size = size; alter table package rename files_entry to hidden")
        .await;
}

#[tokio::test]
async fn reads_file_lists_only_for_files_databases() {
    let server = with_built(4).await;
    let app = server.build("bump", "app").await.id;
    let view = format!("/repo/bump/1/x86_64/builds/{app}");
    hide_file_lists(&server).await;
    let status = async |path: String| {
        let response = server.request(Method::GET, &path).send().await.unwrap();
        response.status()
    };
    let libgreet = server.build("bump", "libgreet").await.id;
    for path in [
        format!("{view}/bump.db"),
        format!("{view}/libgreet-1:2.0-1-x86_64.pkg.tar.zst"),
        "/repo/bump/1/x86_64/bump.db".to_owned(),
        format!("/api/v1/builds/{libgreet}"),
    ] {
        assert_eq!(status(path.clone()).await, StatusCode::OK, "{path}");
    }
    let lists = status(format!("{view}/bump.files")).await;
    assert_eq!(lists, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn does_not_render_build_database_for_matching_tag() {
    let server = with_built(5).await;
    let app = server.build("bump", "app").await.id;
    let left = server.build("bump", "left").await.id;
    let path = |build, file| format!("/repo/bump/1/x86_64/builds/{build}/{file}");
    let mut tags = Vec::new();
    for (build, file) in [(app, "bump.db"), (app, "bump.files"), (left, "bump.db")] {
        let response = server.request(Method::GET, &path(build, file)).send().await;
        tags.push(header_of(&response.unwrap(), header::ETAG));
    }
    assert_ne!(tags[0], tags[1], "one lists files");
    assert_ne!(tags[0], tags[2], "they wait for different builds");
    // Rendering this one would fail.
    hide_file_lists(&server).await;
    for (file, tag) in [("bump.db", &tags[0]), ("bump.files", &tags[1])] {
        let known = with_tag(&server, &path(app, file), tag).await;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{file}");
        assert_eq!(header_of(&known, header::ETAG), *tag);
    }
}

#[tokio::test]
async fn changes_build_database_tag_with_its_ancestors() {
    let server = with_built(0).await;
    let app = server.build("bump", "app").await.id;
    let path = format!("/repo/bump/1/x86_64/builds/{app}/bump.db");
    let worker = server.worker("w").await;
    let mut tags = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let response = server.request(Method::GET, &path).send().await.unwrap();
        tags.insert(header_of(&response, header::ETAG));
        let job = worker.claims().await;
        let is_other = ["app", "other"].contains(&job.claimed.pkgbase.as_str());
        job.succeeds().await;
        if is_other {
            // The build does not see it.
            let response = server.request(Method::GET, &path).send().await.unwrap();
            assert!(!tags.insert(header_of(&response, header::ETAG)));
        }
    }
    assert_eq!(tags.len(), 4, "{tags:?}");
}

/// Builds the packages of a job with bytes chosen by the test.
async fn builds_with_payload(job: &Job, payload: usize) -> String {
    job.starts().await;
    let packages = job.makes_with_payload(payload).await;
    for package in &packages {
        job.uploads(package).await.unwrap();
    }
    job.reports(&reported(&packages)).await.unwrap();
    packages[0].file_name.to_string()
}

/// Starts a server with one source repository, whose packages `bump` has built.
async fn rebuilt_once() -> TestServer {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

#[tokio::test]
async fn does_not_serve_other_bytes_after_namespace_was_recreated() {
    let server = rebuilt_once().await;
    let worker = server.worker("w").await;
    let file = builds_with_payload(&worker.claims().await, 100).await;
    let mut before = Vec::new();
    for place in ["1", "current", "latest"] {
        let path = format!("/repo/bump/{place}/x86_64/{file}");
        let response = server.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let caching = header_of(&response, header::CACHE_CONTROL);
        assert_eq!(
            caching.contains("immutable"),
            place == "1",
            "{path}: {caching}"
        );
        let tag = header_of(&response, header::ETAG);
        before.push((path, tag, response.bytes().await.unwrap()));
    }
    server
        .admin()
        .delete_namespace(&parse("bump"))
        .await
        .unwrap();
    server.namespace("bump", &["libgreet/main"]).await;
    let other = builds_with_payload(&worker.claims().await, 5_000).await;
    assert_ne!(other, file);
    for (path, tag, _) in &before {
        let response = with_tag(&server, path, tag).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // A third one, too; and a default name is never reused.
    server
        .admin()
        .delete_namespace(&parse("bump"))
        .await
        .unwrap();
    server.namespace("bump", &["libgreet/main"]).await;
    let third = builds_with_payload(&worker.claims().await, 7_000).await;
    assert!(![&file, &other].contains(&&third), "{third}");
}

#[tokio::test]
async fn serves_equal_bytes_again_under_the_same_address() {
    let server = rebuilt_once().await;
    let worker = server.worker("w").await;
    let file = builds_with_payload(&worker.claims().await, 100).await;
    server.namespace("keeper", &["libgreet/main"]).await;
    let mut reused = server.follow("keeper").await;
    reused.until_build("build.reused", "libgreet").await;
    let first = repository(&server, "1").bytes(&file).await;
    server
        .admin()
        .delete_namespace(&parse("bump"))
        .await
        .unwrap();
    server.namespace("bump", &["libgreet/main"]).await;
    let mut reused = server.follow("bump").await;
    reused.until_build("build.reused", "libgreet").await;
    let again = repository(&server, "1").get(&file).await;
    let caching = header_of(&again, header::CACHE_CONTROL);
    assert!(caching.contains("immutable"), "{caching}");
    assert_eq!(again.bytes().await.unwrap(), first);
}

#[tokio::test]
async fn rejects_computed_version_used_by_deleted_namespace_of_same_name() {
    let server = rebuilt_once().await;
    let worker = server.worker("w").await;
    for (version, is_new) in [("3.0-1", true), ("3.0-1", false), ("3.0-1.1", true)] {
        let mut job = worker.claims().await;
        let earlier = &job.claimed.release.as_ref().unwrap().earlier;
        assert_eq!(earlier.contains(&parse(version)), !is_new, "{earlier:?}");
        job.claimed.version = parse(version);
        if is_new {
            let file = builds_with_payload(&job, 100).await;
            let path = format!("/repo/bump/1/x86_64/{file}");
            let response = server.request(Method::GET, &path).send().await.unwrap();
            let caching = header_of(&response, header::CACHE_CONTROL);
            assert!(caching.contains("immutable"), "{caching}");
        } else {
            job.starts().await;
            let packages = job.makes_with_payload(5_000).await;
            job.uploads(&packages[0]).await.unwrap();
            let refused = job.reports(&reported(&packages)).await.unwrap_err();
            assert!(
                refused.to_string().contains("already had another package"),
                "{refused}"
            );
        }
        server
            .admin()
            .delete_namespace(&parse("bump"))
            .await
            .unwrap();
        server.namespace("bump", &["libgreet/main"]).await;
    }
}
