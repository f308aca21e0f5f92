//! Who did what: namespaces, events and activities carry the names of tokens.

use buildbtw_model::api::{Activity, CreateToken, ProblemKind, RetryBuilds};
use buildbtw_model::client::{ActivityQuery, Client};
use buildbtw_model::{ActivityKind, FailureKind, NamespaceName, TokenScope};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::support::{Srcinfo, TestServer, new_namespace};

async fn server() -> TestServer {
    TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1"));
    })
    .await
}

/// Returns a client with a new token of this name.
async fn person(server: &TestServer, name: &str) -> Client {
    let token = CreateToken {
        name: name.to_owned(),
        scope: TokenScope::Client,
        expires_in_s: None,
    };
    let created = server.admin().create_token(&token).await.unwrap();
    server.client(Some(created.token))
}

async fn create(client: &Client, changeset: &str) -> NamespaceName {
    let created = client.create_namespace(&new_namespace(&[changeset])).await;
    created.unwrap().summary.name
}

/// Returns activities as text, the oldest first.
async fn activities(server: &TestServer, by: Option<&str>) -> Vec<String> {
    let query = ActivityQuery {
        by: by.map(str::to_owned),
        namespace: None,
    };
    let found = server.public().activity(&query, None).await.unwrap();
    let text = |activity: Activity| {
        let actor = activity.actor.unwrap_or_else(|| "server".to_owned());
        let subject = activity
            .namespace
            .map_or(String::new(), |name| name.to_string());
        format!("{actor} {} {subject}", activity.kind)
    };
    found.into_iter().rev().map(text).collect()
}

#[tokio::test]
async fn namespaces_and_events_carry_the_name_of_the_token() {
    let server = server().await;
    let (anna, ben) = (person(&server, "anna").await, person(&server, "ben").await);
    let name = create(&anna, "libgreet/main").await;
    let mut events = server
        .follow_after(name.as_str(), Some(parse_event(0)))
        .await;
    let job = server.worker("w").await.claims().await;
    job.fails(FailureKind::Package, "it does not compile").await;
    ben.retry_builds(&name, &RetryBuilds::default())
        .await
        .unwrap();
    let held = ben.cancel(&name).await.unwrap().summary;
    assert_eq!(held.created_by.as_deref(), Some("anna"));
    assert_eq!(held.held_by.as_deref(), Some("ben"));
    let resumed = anna.resume(&name).await.unwrap().summary;
    assert_eq!(resumed.held_by, None);
    let mut actor = async |kind: &str| events.until(kind).await.actor;
    assert_eq!(actor("iteration.planned").await.as_deref(), Some("anna"));
    assert_eq!(actor("build.failed").await, None);
    assert_eq!(actor("build.ready").await.as_deref(), Some("ben"));
    assert_eq!(actor("namespace.cancelled").await.as_deref(), Some("ben"));
    assert_eq!(actor("namespace.resumed").await.as_deref(), Some("anna"));
}

fn parse_event(number: i64) -> buildbtw_model::EventId {
    buildbtw_model::EventId(number)
}

#[tokio::test]
async fn activities_outlive_the_namespace_that_was_deleted() {
    let server = server().await;
    let (anna, ben) = (person(&server, "anna").await, person(&server, "ben").await);
    let name = create(&anna, "libgreet/main").await;
    server.worker("w").await.builds("libgreet").await;
    ben.delete_namespace(&name).await.unwrap();
    let expected = [
        "anna namespace.created libgreet-1",
        "server iteration.done libgreet-1",
        "ben namespace.deleted libgreet-1",
    ];
    assert_eq!(activities(&server, None).await, expected);
    assert_eq!(activities(&server, Some("ben")).await, expected[2..]);
    let query = ActivityQuery {
        by: Some("anna".to_owned()),
        namespace: Some(name.clone()),
    };
    let of_it = server.public().activity(&query, None).await;
    assert_eq!(of_it.unwrap()[0].kind, ActivityKind::Created);
}

#[tokio::test]
async fn lists_namespaces_of_one_person_in_pages() {
    let server = server().await;
    let (anna, ben) = (person(&server, "anna").await, person(&server, "ben").await);
    for _ in 0..3 {
        create(&anna, "libgreet/main").await;
        create(&ben, "greet/main").await;
    }
    let mut names = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = server.request(Method::GET, "/api/v1/namespaces");
        request = request.query(&[("created_by", "anna"), ("limit", "2")]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Value = request.send().await.unwrap().json().await.unwrap();
        let items = page["items"].as_array().unwrap();
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["libgreet-3", "libgreet-2", "libgreet-1"]);
    let none = server.public().namespaces_of(Some("cleo")).await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test]
async fn activities_have_pages_and_tags() {
    let server = server().await;
    let anna = person(&server, "anna").await;
    for _ in 0..3 {
        create(&anna, "libgreet/main").await;
    }
    let path = "/api/v1/activity?limit=2&by=anna";
    let response = server.request(Method::GET, path).send().await.unwrap();
    let tag = response.headers()[header::ETAG].clone();
    let page: Value = response.json().await.unwrap();
    let again = server
        .request(Method::GET, path)
        .header(header::IF_NONE_MATCH, tag);
    assert_eq!(
        again.send().await.unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    let next = page["next"].as_str().unwrap();
    let path = format!("/api/v1/activity?limit=2&by=anna&cursor={next}");
    let page: Value = server
        .request(Method::GET, &path)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(page.get("next").is_none());
    let wrong = format!("/api/v1/namespaces?cursor={next}");
    let response = server.request(Method::GET, &wrong).send().await.unwrap();
    crate::support::expect_problem(response, 400, ProblemKind::InvalidRequest).await;
}
