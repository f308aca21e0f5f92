//! What an attempt builds from, as people read it who repeat the attempt.

use std::time::Duration;

use buildbtw_model::api::{AttemptInputs, ClaimedBuild, CreateIteration, ProblemKind, RetryBuilds};
use buildbtw_model::{AttemptId, AttemptStatus, FailureKind};
use reqwest::Method;
use serde_json::{Value, to_value};

use crate::support::{Job, ServerOptions, SourceTree, Srcinfo, TestServer, parse, refusal};
use crate::versions::server_over;

fn family(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1").with("source", "https://example.org/a.tar.gz"));
    sources.push(&Srcinfo::new("greet", "1.0-3").depends(&["libgreet"]));
}

async fn inputs(server: &TestServer, attempt: AttemptId) -> AttemptInputs {
    server.public().attempt_inputs(attempt).await.unwrap()
}

/// Checks that every field is as the worker was told.
async fn expect_claimed(server: &TestServer, claimed: &ClaimedBuild, number: u32) -> AttemptInputs {
    let inputs = inputs(server, claimed.attempt).await;
    assert_eq!(inputs.number, number);
    let fields = |build: &ClaimedBuild| -> Value { to_value(build).unwrap() };
    assert_eq!(fields(&inputs.build), fields(claimed));
    inputs
}

async fn fails(job: &Job) {
    job.fails_permanently(FailureKind::Package, "build() failed")
        .await;
}

#[tokio::test]
async fn attempts_have_the_inputs_that_their_workers_were_told() {
    let (server, _base) = server_over(&[("libgreet", "2.0-1")], family).await;
    let name = server.namespace("set", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let first = worker.claims_build_of("libgreet").await;
    assert_eq!(first.claimed.pkgrel.as_deref(), Some("1.1"));
    let names = first.claimed.repositories.iter();
    let names: Vec<_> = names.map(|repository| repository.name.as_str()).collect();
    assert_eq!(names, ["set", "core"]);
    let queued = expect_claimed(&server, &first.claimed, 1).await;
    assert_eq!(queued.status, AttemptStatus::Queued);
    fails(&first).await;
    let failed = expect_claimed(&server, &first.claimed, 1).await;
    assert_eq!(failed.status, AttemptStatus::Failed);

    let retry: RetryBuilds = serde_json::from_value(serde_json::json!({})).unwrap();
    server.admin().retry_builds(&name, &retry).await.unwrap();
    let second = worker.builds("libgreet").await;
    expect_claimed(&server, &first.claimed, 1).await;
    expect_claimed(&server, &second.claimed, 2).await;
}

#[tokio::test]
async fn later_packages_do_not_raise_the_release_of_a_repeated_attempt() {
    let server = TestServer::start(family).await;
    let name = server.namespace("set", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let greet = worker.claims_build_of("greet").await;
    assert!(greet.claimed.release.is_some());
    fails(&greet).await;
    // The packages below are built at a later time.
    server.advance(Duration::from_mins(1));
    let request = CreateIteration::default();
    let created = server.admin().create_iteration(&name, request).await;
    created.unwrap();
    let built = worker.builds("greet").await;
    assert!(built.claimed.iteration > greet.claimed.iteration);
    let mut events = server.follow("set").await;
    events.until_build("build.built", "greet").await;
    expect_claimed(&server, &greet.claimed, 1).await;
}

#[tokio::test]
async fn inputs_lack_passwords() {
    let base = tempfile::tempdir().unwrap();
    let config = base.path().join("base.toml");
    let text = "[[repository]]\nname = \"core\"\narchitectures = [\"x86_64\"]\n\
                servers = [\"http://me:s3cret@127.0.0.1:1/$arch\"]\nsig_level = \"Never\"\n";
    fs_err::write(&config, text).unwrap();
    let options = ServerOptions {
        extra: vec!["--base-repositories".into(), config.display().to_string()],
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, family).await;
    server.namespace("set", &["libgreet/main"]).await;
    let job = server.worker("w").await.claims().await;
    let text = |value: Value| value.to_string();
    assert!(text(to_value(&job.claimed).unwrap()).contains("s3cret"));
    let inputs = inputs(&server, job.claimed.attempt).await;
    let core = &inputs.build.repositories[1];
    assert_eq!(core.servers, ["http://127.0.0.1:1/$arch"]);
    assert!(!text(to_value(&inputs).unwrap()).contains("s3cret"));
}

#[tokio::test]
async fn refuses_inputs_of_unknown_attempts() {
    let server = TestServer::start(family).await;
    let unknown = parse("00000000-0000-7000-8000-000000000000");
    let problem = refusal(server.public().attempt_inputs(unknown).await);
    assert_eq!(problem.kind, ProblemKind::NotFound);
    assert!(problem.title.contains("attempt 00000000"), "{problem:?}");
    assert!(problem.hint.unwrap().contains("lists its attempts"));
}

#[tokio::test]
async fn page_of_failed_build_names_the_command_that_repeats_the_attempt() {
    let server = TestServer::start(family).await;
    server.namespace("set", &["libgreet/main"]).await;
    let job = server.worker("w").await.claims().await;
    let attempt = job.claimed.attempt;
    let page = async || {
        let path = format!("/builds/{}?attempt={attempt}", job.claimed.build);
        let response = server.request(Method::GET, &path).send().await.unwrap();
        response.text().await.unwrap()
    };
    let command = format!("<code>buildbtw build set libgreet --attempt {attempt}</code>");
    assert!(!page().await.contains("buildbtw build"), "it may succeed");
    fails(&job).await;
    let html = page().await;
    assert!(html.contains(&command), "{html}");
}
