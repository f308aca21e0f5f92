//! Malformed requests: each is refused with one sentence and a hint.

use buildbtw_model::api::ProblemKind;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{Srcinfo, TestServer, expect_problem};

async fn server() -> TestServer {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server.namespace("other", &["libgreet/main"]).await;
    server
}

/// Sends a request and checks that it is refused, with a hint, and with a text that names what is wrong.
async fn expect_refusal(server: &TestServer, path: &str, named: &str) {
    let response = server
        .admin_request(Method::GET, path)
        .send()
        .await
        .unwrap();
    let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    let text = format!(
        "{}: {}",
        problem.title,
        problem.detail.clone().unwrap_or_default()
    );
    assert!(text.contains(named), "{path}: {problem:?}");
    assert!(!text.contains("Failed to"), "{path}: {problem:?}");
    assert!(problem.hint.is_some(), "{path}: {problem:?}");
}

#[tokio::test]
async fn explains_malformed_parameters() {
    let server = server().await;
    let builds = "/api/v1/namespaces/bump/iterations/1/builds";
    for (path, named) in [
        (
            "/api/v1/namespaces?curser=x",
            "unknown query parameter `curser`",
        ),
        ("/api/v1/namespaces?limit=many", "expected a number"),
        ("/api/v1/namespaces?limit=0", "1 to 1000"),
        ("/api/v1/namespaces?limit=1001", "1 to 1000"),
        ("/api/v1/sources?broken=maybe", "`true` or `false`"),
        (
            "/api/v1/sources?brokn=true",
            "unknown query parameter `brokn`",
        ),
        ("/api/v1/tokens?all=1", "unknown query parameter `all`"),
        ("/api/v1/outages?limit=-1", "expected a number"),
        (
            "/api/v1/events?kinds=build",
            "unknown query parameter `kinds`",
        ),
        ("/api/v1/events?namespace=A", "query parameter `namespace`"),
        ("/api/v1/events?package=a,,b", "query parameter `package`"),
        (
            "/api/v1/namespaces/bump?number=1",
            "unknown query parameter `number`",
        ),
        ("/api/v1/openapi.json?v=3", "unknown query parameter `v`"),
        ("/api/v1/token?x", "unknown query parameter `x`"),
        ("/api/v1/namespaces/UPPER", "namespace name"),
        ("/api/v1/builds/first", "the path is invalid"),
        (
            "/api/v1/namespaces/bump/iterations/last",
            "`last` is not an iteration",
        ),
        ("/api/v1/attempts/7/log", "the path is invalid"),
        (
            &format!("{builds}?status=broken"),
            "unknown variant `broken`",
        ),
        (&format!("{builds}?architecture=x/y"), "architecture"),
    ] {
        expect_refusal(&server, path, named).await;
    }
}

#[tokio::test]
async fn refuses_cursors_that_it_did_not_issue_for_the_list() {
    let server = server().await;
    let page = server.request(Method::GET, "/api/v1/namespaces?limit=1");
    let page: Value = page.send().await.unwrap().json().await.unwrap();
    let of_namespaces = page["next"].as_str().unwrap();
    for (path, list) in [
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/bump/iterations", "iterations"),
        ("/api/v1/namespaces/bump/iterations/1/builds", "builds"),
        ("/api/v1/sources", "sources"),
        ("/api/v1/tokens", "tokens"),
        ("/api/v1/outages", "outages"),
    ] {
        let named = format!("not one of this list of {list}");
        for cursor in ["", "1", "%00", "last", of_namespaces] {
            if list == "namespaces" && cursor == of_namespaces {
                continue;
            }
            expect_refusal(&server, &format!("{path}?cursor={cursor}"), &named).await;
        }
    }
}

/// Returns the cursor of the second page.
async fn next(server: &TestServer, path: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{separator}limit=1");
    let page = server.admin_request(Method::GET, &path).send().await;
    let page: Value = page.unwrap().json().await.unwrap();
    page["next"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn refuses_cursors_of_lists_of_the_same_kind() {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    })
    .await;
    for name in ["bump", "other"] {
        server.namespace(name, &["libgreet/main"]).await;
        let admin = server.admin();
        let name = name.parse().unwrap();
        admin
            .create_iteration(&name, Default::default())
            .await
            .unwrap();
    }
    let builds = "/api/v1/namespaces/bump/iterations/1/builds";
    let of_others = [
        "/api/v1/namespaces/other/iterations/1/builds",
        "/api/v1/namespaces/bump/iterations/2/builds",
        "/api/v1/namespaces/bump/iterations/current/builds",
        "/api/v1/namespaces/bump/iterations/1/builds?architecture=x86_64",
        "/api/v1/namespaces/bump/iterations/1/builds?status=ready",
        "/api/v1/namespaces/bump/iterations/1/builds?package=greet",
        "/api/v1/namespaces/bump/iterations/1/builds?prefix=greet",
    ];
    for (path, others, named) in [
        (builds, &of_others[..], "builds"),
        (
            "/api/v1/namespaces/bump/iterations",
            &["/api/v1/namespaces/other/iterations"],
            "iterations",
        ),
        (
            "/api/v1/sources",
            &["/api/v1/sources?broken=true"],
            "sources",
        ),
    ] {
        let cursor = next(&server, path).await;
        for other in others {
            let separator = if other.contains('?') { '&' } else { '?' };
            let path = format!("{other}{separator}cursor={cursor}");
            let named = format!("not one of this list of {named}");
            expect_refusal(&server, &path, &named).await;
        }
    }
    // The same list by another path.
    let newest = next(&server, "/api/v1/namespaces/bump/iterations/2/builds").await;
    let path = format!("/api/v1/namespaces/bump/iterations/current/builds?cursor={newest}");
    let same = server.admin_request(Method::GET, &path).send().await;
    assert_eq!(same.unwrap().status(), 200);
}

/// Sends a JSON body and returns why it is refused.
async fn refusal_of(server: &TestServer, path: &str, body: &Value) -> String {
    let method = match path.ends_with("/outcome") {
        true => Method::PUT,
        false => Method::POST,
    };
    let request = server.admin_request(method, path).json(body);
    let response = request.send().await.unwrap();
    let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    assert!(problem.hint.is_some(), "{path} {body}: {problem:?}");
    let detail = problem.detail.unwrap_or_default();
    format!("{}: {detail}", problem.title)
}

#[tokio::test]
async fn refuses_bodies_other_than_objects() {
    let server = server().await;
    for path in [
        "/api/v1/namespaces",
        "/api/v1/namespaces/bump/iterations",
        "/api/v1/namespaces/bump/retry",
        "/api/v1/plans",
        "/api/v1/tokens",
        "/api/v1/attempts/claim",
        "/api/v1/attempts/0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b/exchange",
        "/api/v1/attempts/0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b/adopt",
        "/api/v1/attempts/0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b/outcome",
    ] {
        for (body, named) in [
            (json!([]), "an array"),
            (json!([true]), "an array"),
            (json!(["name", "client"]), "an array"),
            (json!([["libgreet/main"]]), "an array"),
            (json!("text"), "text"),
            (json!(-1), "a number"),
            (json!(false), "a truth value"),
            (json!(null), "null"),
        ] {
            let refusal = refusal_of(&server, path, &body).await;
            let expected = format!("must be a JSON object, but it is {named}");
            assert!(refusal.contains(&expected), "{path} {body}: {refusal}");
        }
    }
    // Objects within.
    let outcome = "/api/v1/attempts/0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b/outcome";
    let file = ["libgreet-1.0-1-any.pkg.tar.zst", &"0".repeat(64)];
    let body = json!({ "result": "succeeded", "packages": [file] });
    let refusal = refusal_of(&server, outcome, &body).await;
    assert!(refusal.contains("sequence, expected a map"), "{refusal}");
}

#[tokio::test]
async fn names_no_rust_type() {
    let server = server().await;
    for follow_default in [
        json!("after_s"),
        json!(5),
        json!([600]),
        json!({ "never": 1 }),
        json!({ "after_s": "x" }),
        json!({ "after_s": [1] }),
        json!({ "after_s": -1 }),
        json!({ "after_s": 1.5 }),
    ] {
        let body = json!({ "changesets": ["libgreet/main"], "follow_default": follow_default });
        let refusal = refusal_of(&server, "/api/v1/namespaces", &body).await;
        for name in ["FollowDefault", "struct", "variant FollowDefault", "u32"] {
            assert!(!refusal.contains(name), "{follow_default}: {refusal}");
        }
    }
    expect_refusal(&server, "/api/v1/builds/first", "as a whole number").await;
}

#[tokio::test]
async fn refuses_fields_where_there_are_none() {
    let server = server().await;
    for path in [
        "/api/v1/namespaces/bump/cancel",
        "/api/v1/namespaces/bump/resume",
    ] {
        for body in [json!({ "force": true }), json!([]), json!("now")] {
            let refusal = refusal_of(&server, path, &body).await;
            assert!(
                refusal.contains("has no fields"),
                "{path} {body}: {refusal}"
            );
        }
        let empty = server.admin_request(Method::POST, path).json(&json!({}));
        assert_eq!(empty.send().await.unwrap().status(), 200, "{path}");
    }
    for (method, path) in [
        (
            Method::POST,
            "/api/v1/attempts/0193f7a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b/heartbeat",
        ),
        (Method::DELETE, "/api/v1/namespaces/bump"),
        // `force` is a query parameter.
        (Method::DELETE, "/api/v1/tokens/1"),
    ] {
        let request = server.admin_request(method, path);
        let request = request.json(&json!({ "force": true }));
        let response = request.send().await.unwrap();
        let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
        assert!(
            problem.title.contains("has no fields"),
            "{path}: {problem:?}"
        );
        assert!(problem.hint.is_some(), "{path}: {problem:?}");
    }
    let kept = server.request(Method::GET, "/api/v1/namespaces/bump");
    assert_eq!(kept.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn explains_malformed_bodies() {
    let server = server().await;
    let create = "/api/v1/namespaces";
    for (path, body, named) in [
        (
            create,
            json!({ "changesets": ["libgreet/main"], "scoop": "all" }),
            "unknown field `scoop`",
        ),
        (
            create,
            json!({ "changesets": "libgreet/main" }),
            "changesets: invalid type",
        ),
        (
            create,
            json!({ "changesets": ["libgreet/main"], "scope": "world" }),
            "unknown variant `world`",
        ),
        (create, json!({ "name": "x" }), "missing field `changesets`"),
        (
            create,
            json!({ "changesets": ["libgreet"] }),
            "libgreet/main",
        ),
        (
            "/api/v1/namespaces/bump/retry",
            json!({ "latest": "yes" }),
            "latest: invalid type",
        ),
        (
            "/api/v1/namespaces/bump/iterations",
            json!({ "fresh": true }),
            "unknown field `fresh`",
        ),
        (
            "/api/v1/plans",
            json!({ "changesets": ["libgreet/main"], "format": "pdf" }),
            "unknown variant `pdf`",
        ),
        (
            "/api/v1/tokens",
            json!({ "name": "x", "scope": "client", "days": 3 }),
            "unknown field `days`",
        ),
        (
            "/api/v1/attempts/claim",
            json!({ "worker": "w" }),
            "missing field `claim`",
        ),
    ] {
        let request = server.admin_request(Method::POST, path).json(&body);
        let response = request.send().await.unwrap();
        let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
        let detail = problem.detail.unwrap_or_default();
        assert!(detail.contains(named), "{path} {body}: {detail}");
        assert!(!detail.contains("Failed to"), "{detail}");
        assert!(
            problem.hint.is_some_and(|hint| hint.contains("/api")),
            "{path} {body}"
        );
    }
    let request = server.admin_request(Method::POST, create).body("{}");
    let problem = expect_problem(
        request.send().await.unwrap(),
        400,
        ProblemKind::InvalidRequest,
    )
    .await;
    assert!(problem.hint.unwrap().contains("application/json"));
    let request = server
        .admin_request(Method::POST, create)
        .header(header::CONTENT_TYPE, "application/json")
        .body("{\"changesets\": [");
    let problem = expect_problem(
        request.send().await.unwrap(),
        400,
        ProblemKind::InvalidRequest,
    )
    .await;
    assert!(
        problem.detail.unwrap().contains("EOF"),
        "it says where the text ends"
    );
}

#[tokio::test]
async fn refuses_foreign_event_ids() {
    let server = server().await;
    let highest = server.number("select max(id) from event").await;
    let of_other = server
        .number(
            "select max(event.id) from event join namespace on namespace.id = namespace_id
                 where name = 'other'",
        )
        .await;
    let bump = "/api/v1/namespaces/bump/events";
    let all = "/api/v1/events";
    for (path, id, named) in [
        (bump, "yesterday".to_owned(), "not the number of an event"),
        (bump, "-1".to_owned(), "not the number of an event"),
        (bump, "1.5".to_owned(), "not the number of an event"),
        (bump, "+1".to_owned(), "not the number of an event"),
        (
            bump,
            "9223372036854775808".to_owned(),
            "not the number of an event",
        ),
        (
            bump,
            (highest + 1).to_string(),
            "was not sent by this server",
        ),
        (bump, of_other.to_string(), "is of another namespace"),
        (all, "yesterday".to_owned(), "not the number of an event"),
        (
            all,
            (highest + 1).to_string(),
            "was not sent by this server",
        ),
        (all, i64::MAX.to_string(), "was not sent by this server"),
    ] {
        let request = server
            .request(Method::GET, path)
            .header("last-event-id", &id);
        let response = request.send().await.unwrap();
        let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
        assert!(problem.title.contains(named), "{path} {id}: {problem:?}");
        assert!(problem.hint.is_some(), "{path} {id}");
    }
    let response = server
        .request(Method::GET, "/api/v1/events?namespace=nosuch")
        .send()
        .await
        .unwrap();
    let problem = expect_problem(response, 404, ProblemKind::NotFound).await;
    assert!(problem.hint.is_some());
}
