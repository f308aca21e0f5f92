//! The list of source repositories.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::program::run;

/// Serves a list of source repositories, and returns the URL.
async fn serve(items: &[Value]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let page = json!({ "items": items });
    let overview = json!({ "usable": items.len(), "broken": 0 });
    let api = Router::new()
        .route("/sources", get(move || async move { Json(page) }))
        .route(
            "/sources/overview",
            get(move || async move { Json(overview) }),
        );
    let app = Router::new().nest("/api/v1", api);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

fn repository(path: &str, warnings: &[&str], not_fetched: &[&str]) -> Value {
    json!({
        "path": path,
        "warnings": warnings,
        "not_fetched": not_fetched,
        "changed_at": "2026-11-30T03:18:05Z",
    })
}

#[tokio::test]
async fn lists_sources_that_no_worker_fetches_beside_ignored_lines() {
    let not_fetched = "no worker fetches sources over `hg`; install the client for it on a worker";
    let ignored = "line 3: not a version";
    let items = [
        repository("greet", &[], &[]),
        repository("party", &[], &[not_fetched]),
        repository("hello", &[ignored], &[not_fetched]),
    ];
    let url = serve(&items).await;
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), &url, &["sources"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (path, note) in [
        ("greet", "ok".to_owned()),
        ("party", not_fetched.to_owned()),
        ("hello", format!("{not_fetched}; ignored: {ignored}")),
    ] {
        let line = ran.stdout.lines().find(|line| line.starts_with(path));
        let line = line.unwrap_or_else(|| panic!("{path} is not in\n{}", ran.stdout));
        assert!(line.ends_with(&format!("  {note}")), "{line}");
    }
}

#[tokio::test]
async fn lists_problems_with_their_hints() {
    let problem = "the default branch has no commits";
    let mut broken = repository("greet", &[], &[]);
    broken["problem"] = problem.into();
    let mut hinted = repository("hello", &[], &[]);
    hinted["problem"] = problem.into();
    hinted["hint"] = "push its first commit".into();
    let url = serve(&[broken, hinted]).await;
    let home = tempfile::tempdir().unwrap();
    let ran = run(home.path(), &url, &["sources"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (path, note) in [
        ("greet", problem.to_owned()),
        ("hello", format!("{problem}; hint: push its first commit")),
    ] {
        let line = ran.stdout.lines().find(|line| line.starts_with(path));
        let line = line.unwrap_or_else(|| panic!("{path} is not in\n{}", ran.stdout));
        assert!(line.ends_with(&format!("  {note}")), "{line}");
    }
    let ran = run(home.path(), &url, &["sources", "--json=all"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let listed: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(listed[0].get("hint"), None);
    assert_eq!(listed[1]["hint"], "push its first commit");
}
