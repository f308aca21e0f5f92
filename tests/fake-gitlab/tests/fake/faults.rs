use std::time::{Duration, Instant};

use buildbtw_fake_gitlab::{Drift, Fault, On, Times};
use serde_json::{Value, json};

use crate::support::Fixture;

const NAMES: &str = "query Names { group(fullPath: \"pkgs\") {
    projects(first: 3) { nodes { path visibility repository { rootRef } } } } }";

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.import(3);
    fixture
}

fn names() -> Value {
    json!({ "query": NAMES })
}

#[tokio::test]
async fn returns_injected_statuses() {
    let fixture = fixture().await;
    let faults = fixture.gitlab.faults();
    faults.add(
        On::Operation("Names".into()),
        Times::Next(1),
        Fault::status(503),
    );
    faults.add(
        On::Rest,
        Times::Next(1),
        Fault::RateLimited { retry_after: 7 },
    );
    let other = json!({ "query": "query Other { metadata { version } }" });
    assert_eq!(fixture.post(&other).await.unwrap().status(), 200);
    assert_eq!(fixture.post(&names()).await.unwrap().status(), 503);
    assert_eq!(fixture.post(&names()).await.unwrap().status(), 200);
    let limited = fixture.get("/version").await;
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers()["retry-after"], "7");
    assert!(limited.headers().contains_key("ratelimit-reset"));
    assert_eq!(fixture.get("/version").await.status(), 200);
    faults.add(
        On::Path("/api/v4/ver".into()),
        Times::Every(2),
        Fault::status(500),
    );
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(fixture.get("/version").await.status().as_u16());
    }
    assert_eq!(statuses, [200, 500, 200, 500]);
    let statuses: Vec<_> = fixture
        .gitlab
        .requests()
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == Some(500))
            .count(),
        2
    );
}

#[tokio::test]
async fn breaks_connections() {
    let fixture = fixture().await;
    let faults = fixture.gitlab.faults();
    let once = |fault| {
        faults.add(On::Any, Times::Next(1), fault);
    };
    once(Fault::DropBeforeResponse);
    // A client with retries would hide it.
    assert!(fixture.post(&names()).await.is_err());
    once(Fault::DropInBody);
    let response = fixture.post(&names()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    once(Fault::LoseResponse);
    let new = json!({ "path": "lost", "namespace_path": "pkgs" });
    let url = format!("{}/api/v4/projects", fixture.gitlab.url());
    let sent = fixture
        .http
        .post(&url)
        .bearer_auth(&fixture.token)
        .json(&new)
        .send()
        .await;
    assert!(sent.is_err());
    assert!(fixture.gitlab.project_id("pkgs/lost").is_some());
    faults.set_down(true);
    assert!(fixture.post(&names()).await.is_err());
    faults.set_down(false);
    assert_eq!(fixture.post(&names()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn delays_responses() {
    let fixture = fixture().await;
    let wait = Duration::from_millis(80);
    fixture
        .gitlab
        .faults()
        .add(On::Graphql, Times::Next(1), Fault::Latency(wait));
    let start = Instant::now();
    assert_eq!(fixture.post(&names()).await.unwrap().status(), 200);
    assert!(start.elapsed() >= wait);
}

#[tokio::test]
async fn sends_partial_and_drifted_responses() {
    let fixture = fixture().await;
    let faults = fixture.gitlab.faults();
    faults.add(
        On::Operation("Names".into()),
        Times::Next(1),
        Fault::NullField {
            path: "group.projects.nodes[1].repository".into(),
            message: "Timeout on Project.repository".into(),
        },
    );
    let response = fixture.query(NAMES, json!({})).await;
    let nodes = &response["data"]["group"]["projects"]["nodes"];
    assert_eq!(nodes[0]["repository"]["rootRef"], "main");
    assert_eq!(nodes[1]["repository"], Value::Null);
    assert_eq!(
        response["errors"][0]["message"],
        "Timeout on Project.repository"
    );
    assert_eq!(
        response["errors"][0]["path"],
        json!(["group", "projects", "nodes", 1, "repository"])
    );
    let drifts = [
        Drift::Replace {
            field: "visibility".into(),
            value: json!("galactic"),
        },
        Drift::Omit {
            field: "path".into(),
        },
        Drift::Rename {
            field: "rootRef".into(),
            to: "defaultBranch".into(),
        },
        Drift::Add {
            sibling: "visibility".into(),
            field: "new".into(),
            value: json!(1),
        },
    ];
    for drift in drifts {
        faults.add(On::Graphql, Times::Always, Fault::Drift(drift));
    }
    let response = fixture.query(NAMES, json!({})).await;
    let expected = json!({
        "visibility": "galactic", "new": 1, "repository": { "defaultBranch": "main" },
    });
    assert_eq!(response["data"]["group"]["projects"]["nodes"][0], expected);
    faults.clear();
    let response = fixture.query(NAMES, json!({})).await;
    assert_eq!(
        response["data"]["group"]["projects"]["nodes"][0]["path"],
        "p2"
    );
}

#[tokio::test]
async fn random_faults_depend_on_seed() {
    let run = async |seed| {
        let fixture = fixture().await;
        fixture.gitlab.faults().random(seed, 400);
        let mut outcomes = Vec::new();
        for _ in 0..30 {
            let outcome = match fixture.post(&names()).await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    (Some(status), response.bytes().await.is_ok())
                }
                Err(_) => (None, false),
            };
            outcomes.push(outcome);
        }
        outcomes
    };
    let one = run(5).await;
    assert_eq!(one, run(5).await);
    assert!(one.iter().any(|outcome| *outcome != (Some(200), true)));
}

#[tokio::test]
async fn stops_when_dropped() {
    let Fixture { gitlab, http, .. } = fixture().await;
    let url = gitlab.url().to_owned();
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
    drop(gitlab);
    // The listener is closed by a task of this runtime, which has to run first.
    let mut tries = 0;
    while http.get(&url).send().await.is_ok() {
        tries += 1;
        assert!(tries < 1_000, "it still serves");
        tokio::task::yield_now().await;
    }
}
