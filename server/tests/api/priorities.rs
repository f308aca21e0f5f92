//! Priorities of namespaces, and who may set them.

use buildbtw_model::api::{CreateNamespace, CreateToken, ProblemKind, SetPriority};
use buildbtw_model::client::ActivityQuery;
use buildbtw_model::{ActivityKind, Priority, Scope, TokenScope};

use crate::support::{Srcinfo, TestServer, new_namespace, parse, refusal};

const PACKAGES: [&str; 5] = ["a", "b", "c", "d", "fix"];

async fn server() -> TestServer {
    TestServer::start(|sources| {
        for pkgbase in PACKAGES {
            sources.push(&Srcinfo::new(pkgbase, "1.0-1"));
        }
    })
    .await
}

fn to(priority: Priority) -> SetPriority {
    SetPriority {
        priority,
        reason: Some("security fix".into()),
    }
}

/// Creates a namespace of all packages but `fix`.
async fn mass_rebuild(server: &TestServer) {
    let request = CreateNamespace {
        scope: Scope::Origin,
        name: Some(parse("mass")),
        ..new_namespace(&["a/main", "b/main", "c/main", "d/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
}

#[tokio::test]
async fn urgent_namespace_gets_the_next_free_worker() {
    let server = server().await;
    mass_rebuild(&server).await;
    let worker = server.worker("w").await;
    let first = worker.claims().await;
    let fix = server.namespace("fix", &["fix/main"]).await;
    let changed = server
        .admin()
        .set_priority(&fix, &to(Priority::Urgent))
        .await;
    assert_eq!(changed.unwrap().summary.priority, Priority::Urgent);
    first.succeeds().await;
    worker.claims_build_of("fix").await;
}

#[tokio::test]
async fn lower_priorities_wait_for_higher_ones() {
    let server = server().await;
    mass_rebuild(&server).await;
    let request = CreateNamespace {
        priority: Priority::Low,
        name: Some(parse("later")),
        ..new_namespace(&["fix/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    let worker = server.worker("w").await;
    for pkgbase in ["a", "b", "c", "d", "fix"] {
        worker.claims_build_of(pkgbase).await;
    }
}

#[tokio::test]
async fn only_admins_make_namespaces_urgent_and_it_is_recorded() {
    let server = server().await;
    let fix = server.namespace("fix", &["fix/main"]).await;
    let token = CreateToken {
        name: "anna".into(),
        scope: TokenScope::Client,
        expires_in_s: None,
    };
    let token = server.admin().create_token(&token).await.unwrap().token;
    let anna = server.client(Some(token));
    let problem = refusal(anna.set_priority(&fix, &to(Priority::Urgent)).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    let hint = problem.hint.unwrap();
    assert!(hint.contains("`high`"), "{hint}");
    let request = CreateNamespace {
        priority: Priority::Urgent,
        ..new_namespace(&["a/main"])
    };
    let problem = refusal(anna.create_namespace(&request).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden);
    anna.set_priority(&fix, &to(Priority::High)).await.unwrap();
    // Repeating it has no effect.
    anna.set_priority(&fix, &to(Priority::High)).await.unwrap();
    let query = ActivityQuery {
        by: Some("anna".to_owned()),
        namespace: None,
    };
    let found = server.public().activity(&query, None).await.unwrap();
    let messages: Vec<_> = found.into_iter().map(|item| item.message).collect();
    assert_eq!(messages, [Some("high: security fix".to_owned())]);
}

#[tokio::test]
async fn records_namespaces_that_are_created_as_urgent() {
    let server = server().await;
    let request = CreateNamespace {
        priority: Priority::Urgent,
        name: Some(parse("fix")),
        ..new_namespace(&["fix/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    let query = ActivityQuery {
        by: None,
        namespace: Some(parse("fix")),
    };
    let found = server.public().activity(&query, None).await.unwrap();
    let newest = found.first().unwrap();
    assert_eq!(newest.kind, ActivityKind::Prioritized);
    assert_eq!(newest.message.as_deref(), Some("urgent"));
}

#[tokio::test]
async fn refuses_unknown_priorities_and_namespaces() {
    let server = server().await;
    let problem = refusal(
        server
            .admin()
            .set_priority(&parse("nosuch"), &to(Priority::High))
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::NotFound);
    let body = serde_json::json!({ "priority": "highest" });
    let path = "/api/v1/namespaces/nosuch/priority";
    let response = server.admin_request(reqwest::Method::PUT, path).json(&body);
    let response = response.send().await.unwrap();
    crate::support::expect_problem(response, 400, ProblemKind::InvalidRequest).await;
}
