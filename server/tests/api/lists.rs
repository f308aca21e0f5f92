//! Pages and tags of lists.

use std::collections::BTreeSet;

use buildbtw_model::BuildStatus;
use buildbtw_model::TokenScope;
use buildbtw_model::api::{BuildSummary, CreateToken, IterationSummary, Page};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::support::{Srcinfo, TestServer};

const BUILDS: &str = "/api/v1/namespaces/bump/iterations/current/builds";

/// Starts a server with a library and six programs that need it.
async fn server() -> TestServer {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        for number in 1..=6 {
            sources.push(&Srcinfo::new(&format!("greet{number}"), "1.0-1").depends(&["libgreet"]));
        }
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

async fn get(server: &TestServer, path: &str) -> Value {
    let response = server
        .admin_request(Method::GET, path)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

/// Returns the entries of all pages of a list.
async fn all(server: &TestServer, path: &str, limit: usize) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut items, mut next) = (Vec::new(), String::new());
    loop {
        let page = get(server, &format!("{path}{separator}limit={limit}{next}")).await;
        let entries = page["items"].as_array().unwrap();
        assert!(!entries.is_empty() && entries.len() <= limit, "{page}");
        items.extend(entries.iter().cloned());
        match page["next"].as_str() {
            Some(cursor) => {
                assert_eq!(entries.len(), limit, "only the last page is shorter");
                next = format!("&cursor={cursor}");
            }
            None => return items,
        }
    }
}

#[tokio::test]
async fn pages_through_every_list() {
    let server = server().await;
    for number in 2..=4 {
        server
            .namespace(&format!("more{number}"), &["greet1/main"])
            .await;
        let admin = server.admin();
        let bump = "bump".parse().unwrap();
        admin
            .create_iteration(&bump, Default::default())
            .await
            .unwrap();
        let request = CreateToken {
            name: format!("token {number}"),
            scope: TokenScope::Worker,
            expires_in_s: None,
        };
        admin.create_token(&request).await.unwrap();
    }
    for (path, entries) in [
        ("/api/v1/namespaces", 4),
        ("/api/v1/namespaces/bump/iterations", 4),
        (BUILDS, 7),
        ("/api/v1/sources", 7),
        ("/api/v1/tokens", 4),
    ] {
        let whole = get(&server, path).await;
        assert_eq!(whole["items"].as_array().unwrap().len(), entries, "{path}");
        assert!(whole["next"].is_null(), "{path}");
        for limit in [1, 2, 3, entries] {
            let items = all(&server, path, limit).await;
            assert_eq!(Value::from(items), whole["items"], "{path} by {limit}");
        }
    }
}

#[tokio::test]
async fn filters_builds() {
    let server = server().await;
    server.worker("w").await.builds("libgreet").await;
    let names = async |query: &str| -> BTreeSet<String> {
        let items = get(&server, &format!("{BUILDS}?{query}")).await;
        let page: Page<BuildSummary> = serde_json::from_value(items).unwrap();
        page.items
            .into_iter()
            .map(|build| build.pkgbase.to_string())
            .collect()
    };
    assert_eq!(
        names("status=built").await,
        BTreeSet::from(["libgreet".to_owned()])
    );
    assert_eq!(names("status=ready").await.len(), 6);
    assert_eq!(
        names("package=greet3").await,
        BTreeSet::from(["greet3".to_owned()])
    );
    assert_eq!(names("prefix=greet").await.len(), 6);
    assert_eq!(
        names("prefix=greet3&status=ready").await,
        BTreeSet::from(["greet3".to_owned()])
    );
    // Neither a pattern nor a part.
    for none in [
        "prefix=reet",
        "prefix=greet_",
        "prefix=%25",
        "prefix=greet33",
    ] {
        assert_eq!(names(none).await, BTreeSet::new(), "{none}");
    }
    assert_eq!(names("prefix=").await.len(), 7);
    assert_eq!(names("architecture=aarch64").await, BTreeSet::new());
    assert_eq!(
        all(&server, &format!("{BUILDS}?status=ready"), 4)
            .await
            .len(),
        6
    );
}

#[tokio::test]
async fn shows_iteration_without_builds() {
    let server = server().await;
    let iteration = get(&server, "/api/v1/namespaces/bump/iterations/current").await;
    assert!(
        iteration["builds"].is_null(),
        "they are a list of their own"
    );
    let summary: IterationSummary = serde_json::from_value(iteration.clone()).unwrap();
    assert_eq!(summary.counts.total(), 7);
    assert_eq!(
        iteration["architectures"][0]["stalled"],
        "no worker for x86_64"
    );
    let composed = server.iteration("bump").await;
    assert_eq!(composed.builds.len(), 7);
    assert_eq!(composed.builds[0].status, BuildStatus::Ready);
}

#[tokio::test]
async fn shows_what_blocks_a_build_and_its_neighbors() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
        sources.push(&Srcinfo::new("app", "1.0-1").depends(&["greet"]));
        sources.push(&Srcinfo::new("plugin", "1.0-1").depends(&["app"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.fails(buildbtw_model::FailureKind::Package, "broken")
        .await;
    let app = server.build("bump", "app").await;
    let detail = server.public().build(app.id).await.unwrap();
    let blocked_by = |build: &BuildSummary| -> Vec<String> {
        build.blocked_by.iter().map(ToString::to_string).collect()
    };
    assert_eq!(blocked_by(&detail.summary), ["libgreet"]);
    assert_eq!(detail.needs.len(), 1);
    assert_eq!(blocked_by(&detail.needs[0]), ["libgreet"]);
    assert_eq!(blocked_by(&detail.needed_by[0]), ["libgreet"]);
    assert_eq!(blocked_by(&app), ["libgreet"], "the list says the same");
}

#[tokio::test]
async fn tags_lists_and_details_until_they_change() {
    let server = server().await;
    let build = server.build("bump", "libgreet").await.id;
    let paths = [
        "/api/v1/namespaces".to_owned(),
        "/api/v1/namespaces/bump".into(),
        "/api/v1/namespaces/bump/iterations".into(),
        "/api/v1/namespaces/bump/iterations/current".into(),
        BUILDS.into(),
        format!("/api/v1/builds/{build}"),
        "/api/v1/sources".into(),
        "/api/v1/tokens".into(),
        "/api/v1/token".into(),
        "/api/v1/outages".into(),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let response = server
            .admin_request(Method::GET, path)
            .send()
            .await
            .unwrap();
        let tag = response.headers()[header::ETAG].clone();
        let request = server.admin_request(Method::GET, path);
        let again = request
            .header(header::IF_NONE_MATCH, &tag)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(again.headers()[header::ETAG], tag, "{path}");
        assert!(again.bytes().await.unwrap().is_empty(), "{path}");
        let head = server.admin_request(Method::HEAD, path).send().await;
        let head = head.unwrap();
        assert_eq!(head.headers()[header::ETAG], tag, "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        tags.push(tag);
    }
    server.worker("w").await.builds("libgreet").await;
    for (path, tag) in paths.iter().zip(tags) {
        let request = server.admin_request(Method::GET, path);
        let response = request
            .header(header::IF_NONE_MATCH, &tag)
            .send()
            .await
            .unwrap();
        let is_unchanged = ["/sources", "/token", "/outages"]
            .iter()
            .any(|end| path.ends_with(end));
        let expected = if is_unchanged {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        assert_eq!(response.status(), expected, "{path}");
    }
}
