//! Authorization: reading is public, every write needs a token of the right scope.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use buildbtw_model::api::{CreateToken, ProblemKind};
use buildbtw_model::{TokenId, TokenScope};
use buildbtw_server::router::openapi_document;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{FakeWorker, Srcinfo, TestServer, expect_problem, refusal};

async fn server() -> TestServer {
    TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await
}

/// Lists every route that needs a token, with a scope that does not suffice, if any.
fn guarded() -> Vec<(Method, String, Option<TokenScope>)> {
    let attempt = format!("/api/v1/attempts/{}", buildbtw_model::AttemptId::new());
    let client = Some(TokenScope::Client);
    let worker = Some(TokenScope::Worker);
    let package = "libgreet-1.0-1-x86_64.pkg.tar.zst";
    let route = |method: Method, path: &str, wrong| (method, path.to_owned(), wrong);
    vec![
        route(Method::GET, "/api/v1/token", None),
        route(Method::POST, "/api/v1/namespaces", worker),
        route(Method::DELETE, "/api/v1/namespaces/bump", worker),
        route(Method::POST, "/api/v1/namespaces/bump/iterations", worker),
        route(Method::POST, "/api/v1/namespaces/bump/cancel", worker),
        route(Method::POST, "/api/v1/namespaces/bump/resume", worker),
        route(Method::POST, "/api/v1/namespaces/bump/retry", worker),
        route(Method::PUT, "/api/v1/namespaces/bump/priority", worker),
        route(Method::PATCH, "/api/v1/namespaces/bump", worker),
        route(Method::GET, "/api/v1/outages", worker),
        route(Method::GET, "/api/v1/sources/libgreet/refs", worker),
        route(Method::POST, "/api/v1/attempts/claim", client),
        route(Method::POST, &format!("{attempt}/adopt"), client),
        route(Method::POST, &format!("{attempt}/heartbeat"), client),
        route(Method::POST, &format!("{attempt}/log?offset=0"), client),
        route(
            Method::PUT,
            &format!("{attempt}/packages/{package}?sha256={}", "0".repeat(64)),
            client,
        ),
        route(Method::PUT, &format!("{attempt}/pkgbuild"), client),
        route(Method::PUT, &format!("{attempt}/outcome"), client),
        route(Method::GET, "/api/v1/tokens", client),
        route(Method::GET, "/api/v1/tokens", worker),
        route(Method::POST, "/api/v1/tokens", client),
        route(Method::POST, "/api/v1/tokens", worker),
        route(Method::POST, "/api/v1/workers/w/drain", client),
        route(Method::POST, "/api/v1/workers/w/resume", client),
        route(Method::DELETE, "/api/v1/tokens/1", client),
        route(Method::DELETE, "/api/v1/tokens/1", worker),
    ]
}

#[tokio::test]
async fn rejects_guarded_routes_without_a_valid_token() {
    let server = server().await;
    let admin = server.admin();
    let revoked = admin
        .create_token(&CreateToken {
            name: "revoked".into(),
            scope: TokenScope::Admin,
            expires_in_s: None,
        })
        .await
        .unwrap();
    assert!(
        server
            .client(Some(revoked.token.clone()))
            .tokens()
            .await
            .is_ok()
    );
    admin.revoke_token(revoked.summary.id).await.unwrap();
    let expired = server.token_that_expires(TokenScope::Admin, Some(1)).await;
    server.advance(std::time::Duration::from_secs(1));
    let valid = server.admin_token();
    let credentials = [
        ("no token", None),
        ("an empty one", Some("Bearer ".to_owned())),
        ("garbage", Some("Bearer garbage".to_owned())),
        ("another scheme", Some(format!("Basic {valid}"))),
        ("no scheme", Some(valid.clone())),
        (
            "a cut token",
            Some(format!("Bearer {}", &valid[..valid.len() - 1])),
        ),
        ("a revoked one", Some(format!("Bearer {}", revoked.token))),
        ("an expired one", Some(format!("Bearer {expired}"))),
    ];
    let mut held_up = 0;
    for (method, path, _) in guarded() {
        for (what, credential) in &credentials {
            let mut request = server.request(method.clone(), &path).json(&json!({}));
            if let Some(credential) = credential {
                request = request.header(header::AUTHORIZATION, credential);
            }
            let response = request.send().await.unwrap();
            if response.status() == StatusCode::TOO_MANY_REQUESTS {
                // So many wrong tokens exceed the rate limit, which does not grant access either.
                held_up += 1;
                continue;
            }
            let challenge = response.headers().get(header::WWW_AUTHENTICATE).cloned();
            assert!(
                challenge.is_some_and(|value| value.as_bytes().starts_with(b"Bearer")),
                "{method} {path} with {what}"
            );
            let problem = expect_problem(response, 401, ProblemKind::Unauthenticated).await;
            assert!(problem.hint.is_some(), "{problem:?}");
        }
    }
    assert!(server.public().namespaces().await.unwrap().is_empty());
    // The rejected requests revoked no token, and wrong tokens do not block the right one.
    assert!(server.admin().tokens().await.is_ok());
    assert!(held_up > 0);
}

/// Returns the description of the API's paths.
fn described() -> serde_json::Map<String, Value> {
    let document: Value = serde_json::from_str(openapi_document()).unwrap();
    document["paths"].as_object().unwrap().clone()
}

/// Returns the paths of the server's routes, in the router's notation; those of the API from its description, which is
/// made from the routes.
fn served() -> Vec<String> {
    let source = concat!(
        include_str!("../../src/router.rs"),
        include_str!("../../src/routes/pages/mod.rs"),
        include_str!("../../src/routes/listing.rs"),
        include_str!("../../src/routes/health.rs"),
        include_str!("../../src/routes/openapi/page.rs")
    );
    let squeezed: String = source.split_whitespace().collect();
    let mut parts = squeezed.split(".route(\"").skip(1);
    let paths = parts.by_ref().filter_map(|part| part.split('"').next());
    let mut paths: Vec<String> = paths.map(str::to_owned).collect();
    paths.extend(described().into_iter().map(|(path, _)| path));
    paths
}

/// Returns whether a path is one of a route.
fn is_of_route(path: &str, route: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let (path, route): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), route.split('/').collect());
    let same = |(part, own): (&&str, &&str)| part.starts_with('{') || part == own;
    path.len() == route.len() && route.iter().zip(&path).all(same)
}

#[test]
fn describes_which_operations_need_a_token() {
    // They check what the request itself contains.
    let others = ["/plans", "/webhooks/gitlab", "/attempts/{id}/exchange"];
    let (mut tokens, mut public) = (0, 0);
    for (route, item) in described() {
        for (method, operation) in item.as_object().unwrap() {
            let is_guarded = guarded().iter().any(|(guarded, path, _)| {
                guarded.as_str().eq_ignore_ascii_case(method) && is_of_route(path, &route)
            });
            let security = operation["security"].as_array().unwrap();
            if others.contains(&&*route) {
                continue;
            }
            assert_eq!(
                is_guarded,
                !security.is_empty(),
                "{method} {route}: {security:?}"
            );
            let has = |status: &str| operation["responses"][status].is_object();
            assert_eq!(is_guarded, has("401"), "{method} {route}");
            if is_guarded { tokens += 1 } else { public += 1 }
        }
    }
    assert!(
        tokens >= 16 && public >= 12,
        "{tokens} with a token, {public} without"
    );
}

#[test]
fn classifies_every_route_as_public_or_guarded() {
    let readable = [
        "/namespaces",
        "/namespaces/{name}",
        "/namespaces/{name}/events",
        "/namespaces/{name}/iterations/{number}",
        "/namespaces/{name}/iterations/{number}/builds",
        "/events",
        "/openapi.json",
        "/api",
        "/api/",
        "/api/{file}",
        "/builds/{id}",
        "/attempts/{id}/inputs",
        "/attempts/{id}/log",
        "/attempts/{id}/pkgbuild",
        "/sources",
        "/activity",
        "/workers",
        "/plans",
        "/sources/overview",
        // Checked with its own secrets: see the tests of webhooks.
        "/webhooks/gitlab",
        // Checked by the ID token in its body: see the tests of pipelines.
        "/attempts/{id}/exchange",
        "/{name}/{iteration}/{architecture}/{file}",
        "/{name}/{iteration}/{architecture}/builds/{build}/{file}",
        "/repo",
        "/repo/",
        "/repo/{name}",
        "/repo/{name}/",
        "/repo/{name}/{iteration}",
        "/repo/{name}/{iteration}/",
        "/repo/{name}/{iteration}/{architecture}",
        "/repo/{name}/{iteration}/{architecture}/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
        "/assets/{hash}/{file}",
        "/namespaces/{name}/iterations/{number}",
        "/builds/{id}",
    ];
    let guarded = guarded();
    let matches = |route: &str| guarded.iter().any(|(_, path, _)| is_of_route(path, route));
    let routes = served();
    assert!(routes.len() > 20, "{routes:?}");
    for route in routes {
        assert!(
            readable.contains(&route.as_str()) || matches(&route),
            "{route} is in no table"
        );
    }
}

#[tokio::test]
async fn rate_limits_token_guessing() {
    let server = server().await;
    let mut responses = Vec::new();
    for _ in 0..25 {
        let request = server.request(Method::GET, "/api/v1/token");
        responses.push(request.bearer_auth("guess").send().await.unwrap());
    }
    assert_eq!(responses[0].status(), 401);
    let last = responses.pop().unwrap();
    let pause = last.headers()[header::RETRY_AFTER].to_str().unwrap();
    assert!((1..=60).contains(&pause.parse::<u64>().unwrap()), "{pause}");
    expect_problem(last, 429, ProblemKind::TooManyRequests).await;
    assert!(server.admin().identity().await.is_ok());
}

#[tokio::test]
async fn rejects_guarded_routes_with_another_scope() {
    let server = server().await;
    let client = server.token(TokenScope::Client).await;
    let worker = server.token(TokenScope::Worker).await;
    for (method, path, wrong) in guarded() {
        let token = match wrong {
            Some(TokenScope::Client) => &client,
            Some(TokenScope::Worker) => &worker,
            _ => continue,
        };
        let request = server
            .request(method, &path)
            .bearer_auth(token)
            .json(&json!({}));
        let response = request.send().await.unwrap();
        let problem = expect_problem(response, 403, ProblemKind::Forbidden).await;
        assert!(problem.title.contains("scope"), "{problem:?}");
        assert!(problem.hint.unwrap().contains("buildbtw token create"));
    }
}

#[tokio::test]
async fn admits_own_scope_and_administrators_to_guarded_routes() {
    let server = server().await;
    let client = server.token(TokenScope::Client).await;
    let worker = server.token(TokenScope::Worker).await;
    let admin = server.token(TokenScope::Admin).await;
    for (method, path, _) in guarded() {
        let part = path.split('/').nth(3).unwrap();
        let own = match part.split('?').next().unwrap() {
            "namespaces" | "outages" | "sources" => vec![&client],
            "attempts" => vec![&worker],
            "token" => vec![&client, &worker],
            "tokens" | "workers" => vec![],
            other => panic!("unknown token {other}"),
        };
        for token in own.into_iter().chain([&admin]) {
            let request = server.request(method.clone(), &path).bearer_auth(token);
            let status = request.json(&json!({})).send().await.unwrap().status();
            assert!(
                status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
                "{method} {path}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn grants_each_scope_its_operations() {
    let server = server().await;
    let client = server.client(Some(server.token(TokenScope::Client).await));
    client
        .create_namespace(&crate::support::new_namespace(&["libgreet/main"]))
        .await
        .unwrap();
    assert_eq!(client.identity().await.unwrap().scope, TokenScope::Client);
    let worker = server.worker("w").await;
    assert_eq!(
        worker.client.identity().await.unwrap().scope,
        TokenScope::Worker
    );
    worker.builds("libgreet").await;
    assert_eq!(
        server.admin().identity().await.unwrap().scope,
        TokenScope::Admin
    );
}

#[tokio::test]
async fn grants_administrators_every_operation() {
    let server = server().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let token = server.admin_token();
    let worker = FakeWorker::new(server.url(), token, "admins-own", &["x86_64"]);
    worker.builds("libgreet").await;
}

#[tokio::test]
async fn allows_public_reads() {
    let server = server().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.builds("libgreet").await;
    let build = job.claimed.build;
    for path in [
        "/api/v1/namespaces".to_owned(),
        "/api/v1/namespaces/bump".into(),
        "/api/v1/namespaces/bump/iterations/1".into(),
        "/api/v1/namespaces/bump/iterations/current".into(),
        "/api/v1/namespaces/bump/iterations".into(),
        "/api/v1/namespaces/bump/iterations/1/builds".into(),
        "/api/v1/openapi.json".into(),
        "/api/".into(),
        format!("/api/v1/builds/{build}"),
        format!("/api/v1/attempts/{}/log", job.claimed.attempt),
        "/api/v1/activity".into(),
        "/api/v1/workers".into(),
        "/workers".into(),
        "/api/v1/sources".into(),
        "/api/v1/sources/overview".into(),
        "/repo/bump/1/x86_64/bump.db".into(),
        "/repo/bump/latest/x86_64/libgreet-1.0-1-x86_64.pkg.tar.zst".into(),
        format!("/repo/bump/1/x86_64/builds/{build}/bump.db"),
    ] {
        let response = server.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            response.headers()["x-content-type-options"],
            "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn lists_tokens_without_secret_and_revokes_them_immediately() {
    let server = server().await;
    let admin = server.admin();
    let request = CreateToken {
        name: "build machine 7".into(),
        scope: TokenScope::Worker,
        expires_in_s: Some(3600),
    };
    let created = admin.create_token(&request).await.unwrap();
    assert!(created.summary.expires_at.unwrap() > created.summary.created_at);
    let response = server
        .admin_request(Method::GET, "/api/v1/tokens")
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains("build machine 7") && !text.contains(&created.token));

    let holder = server.client(Some(created.token));
    assert_eq!(holder.identity().await.unwrap().name, "build machine 7");
    let revoked = admin.revoke_token(created.summary.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(
        refusal(holder.identity().await).kind,
        ProblemKind::Unauthenticated
    );
    // Repeating it is not an error, and does not change the time of revocation.
    let again = admin.revoke_token(created.summary.id).await.unwrap();
    assert_eq!(again.revoked_at, revoked.revoked_at);
    let problem = refusal(admin.revoke_token(TokenId(999)).await);
    assert_eq!((problem.status, problem.kind), (404, ProblemKind::NotFound));
}

#[tokio::test]
async fn rejects_malformed_token_names() {
    let server = server().await;
    for name in ["", "   ", "a\nb", "\u{1b}[31mred", &"x".repeat(101)] {
        let request = CreateToken {
            name: name.into(),
            scope: TokenScope::Client,
            expires_in_s: None,
        };
        let problem = refusal(server.admin().create_token(&request).await);
        assert_eq!(
            (problem.status, problem.kind),
            (400, ProblemKind::InvalidRequest),
            "{name:?}"
        );
    }
    for body in [
        json!({ "name": "x", "scope": "god" }),
        json!({ "name": "x" }),
        json!({ "name": "x", "scope": "admin", "expires_in_s": -5 }),
    ] {
        let request = server
            .admin_request(Method::POST, "/api/v1/tokens")
            .json(&body);
        expect_problem(
            request.send().await.unwrap(),
            400,
            ProblemKind::InvalidRequest,
        )
        .await;
    }
}

/// Returns all files below a folder that contain a text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else {
            let bytes = fs_err::read(&path).unwrap();
            if bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn stores_only_the_first_token_and_that_privately() {
    let mut server = server().await;
    let token = server.token(TokenScope::Worker).await;
    assert!(holding(&server.data(), &token).is_empty());
    let first = server.admin_token();
    assert_eq!(holding(&server.data(), &first), ["admin-token"]);
    let file = server.data().join("admin-token");
    let mode = fs_err::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    server.stop().await;
    assert!(holding(&server.data(), &token).is_empty());
    server.start_again().await;
    assert_eq!(
        server.admin_token(),
        first,
        "a restart must not replace the token"
    );
    assert_eq!(server.admin().tokens().await.unwrap().len(), 2);
    assert_eq!(
        server.client(Some(token)).identity().await.unwrap().scope,
        TokenScope::Worker
    );
}

#[tokio::test]
async fn does_not_rewrite_removed_first_token() {
    let mut server = server().await;
    let token = server.admin_token();
    // Administrators may move it elsewhere.
    fs_err::remove_file(server.data().join("admin-token")).unwrap();
    server.stop().await;
    server.start_again().await;
    assert!(!server.data().join("admin-token").exists());
    assert!(server.client(Some(token)).tokens().await.is_ok());
}

#[tokio::test]
async fn creates_new_admin_token_at_start_after_the_last_was_revoked() {
    let mut server = server().await;
    let old = server.admin_token();
    let tokens = server.admin().tokens().await.unwrap();
    let forced = server.admin().force_revoke_token(tokens[0].id).await;
    forced.unwrap();
    server.stop().await;
    server.start_again().await;
    assert_ne!(server.admin_token(), old);
    assert!(server.admin().tokens().await.is_ok());
}
