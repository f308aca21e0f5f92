//! Packager and build tool in packages, and the PKGBUILD that is kept of a build.

use buildbtw_model::api::ProblemKind;
use reqwest::{Method, StatusCode, header};

use crate::support::{ServerOptions, Srcinfo, TestServer, eventually, expect_problem, refusal};

async fn server(extra: &[&str]) -> TestServer {
    let options = ServerOptions {
        extra: extra.iter().map(|word| (*word).to_owned()).collect(),
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    server
}

#[tokio::test]
async fn assigns_packager_and_build_tool_of_server() {
    let plain = server(&[]).await;
    let job = plain.worker("w").await.claims().await.claimed;
    assert_eq!(job.packager.as_str(), "buildbtw <buildbtw@localhost>");
    assert_eq!(job.build_tool.name.as_str(), "buildbtw");
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(job.build_tool.version.as_str(), own);

    let set = server(&[
        "--packager=Jane Doe <jane@example.org>",
        "--buildtool=devtools",
        "--buildtoolver=1:1.3.2-1-any",
    ])
    .await;
    let job = set.worker("w").await.claims().await.claimed;
    assert_eq!(job.packager.as_str(), "Jane Doe <jane@example.org>");
    assert_eq!(job.build_tool.name.as_str(), "devtools");
    assert_eq!(job.build_tool.version.as_str(), "1:1.3.2-1-any");
}

#[tokio::test]
async fn keeps_pkgbuild_of_a_build_as_long_as_its_log() {
    let server = server(&[]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    let attempt = job.claimed.attempt;
    let address = format!("/api/v1/attempts/{attempt}/pkgbuild");
    let page = format!("/builds/{}", job.claimed.build);
    let get = async |path: &str| server.request(Method::GET, path).send().await.unwrap();
    expect_problem(get(&address).await, 404, ProblemKind::NotFound).await;
    assert!(!get(&page).await.text().await.unwrap().contains(&address));

    // The last one counts: a worker repeats requests without a response.
    for text in ["pkgrel=1", "pkgrel=1.1 # <script>"] {
        job.client
            .upload_pkgbuild(attempt, text.into())
            .await
            .unwrap();
    }
    job.succeeds().await;
    let kept = get(&address).await;
    assert_eq!(
        kept.headers()[header::CONTENT_TYPE],
        "text/plain; charset=utf-8"
    );
    assert_eq!(kept.text().await.unwrap(), "pkgrel=1.1 # <script>");
    assert!(get(&page).await.text().await.unwrap().contains(&address));
    let late = job.client.upload_pkgbuild(attempt, b"late".to_vec()).await;
    assert_eq!(refusal(late).kind, ProblemKind::AttemptEnded);

    let file = server.data().join(format!("logs/{attempt}.PKGBUILD"));
    assert!(file.exists());
    let admin = server.admin();
    admin
        .delete_namespace(&"bump".parse().unwrap())
        .await
        .unwrap();
    eventually("the file is removed", async || {
        (!file.exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn accepts_bounded_pkgbuild_of_own_attempt_only() {
    let server = server(&[]).await;
    let (worker, other) = (server.worker("w").await, server.worker("other").await);
    let job = worker.claims().await;
    job.starts().await;
    let address = format!("/api/v1/attempts/{}/pkgbuild", job.claimed.attempt);
    let put = async |token: &str, length: usize| {
        let request = server.request(Method::PUT, &address).bearer_auth(token);
        request.body("x".repeat(length)).send().await.unwrap()
    };
    let foreign = put(&other.token, 1).await;
    expect_problem(foreign, 403, ProblemKind::Forbidden).await;
    let large = put(&worker.token, 4 * 1024 * 1024 + 1).await;
    expect_problem(large, 413, ProblemKind::TooLarge).await;
    assert_eq!(
        put(&worker.token, 4 * 1024 * 1024).await.status(),
        StatusCode::NO_CONTENT
    );
}
