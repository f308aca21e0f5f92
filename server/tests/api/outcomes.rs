//! Attempts end exactly once.

use buildbtw_model::api::{Outcome, ProblemKind};
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind, IterationStatus};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    FakeWorker, Job, Repository, Srcinfo, TestServer, expect_problem, failed, make_package,
    refusal, reported,
};

async fn building() -> (TestServer, FakeWorker, Job) {
    let server = TestServer::start(|sources| {
        let library = Srcinfo::new("libgreet", "2.0-1");
        sources.push(&library.pkgname("libgreet").pkgname("greet-tools"));
        sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    (server, worker, job)
}

/// Returns the number of events so far.
async fn count_events(server: &TestServer) -> i64 {
    server.number("select count(*) from event").await
}

#[tokio::test]
async fn accepts_repeated_success_without_change() {
    let (server, _, job) = building().await;
    let packages = job.makes_and_uploads().await;
    let outcome = reported(&packages);
    let first = job.reports(&outcome).await.unwrap();
    let mut events = server.follow("bump").await;
    events.until_build("build.ready", "greet").await;
    let before = (
        count_events(&server).await,
        server.build("bump", "libgreet").await,
    );
    let second = job.reports(&outcome).await.unwrap();
    assert_eq!(
        (first.status, second.status),
        (AttemptStatus::Succeeded, AttemptStatus::Succeeded)
    );
    let after = (
        count_events(&server).await,
        server.build("bump", "libgreet").await,
    );
    assert_eq!(before.0, after.0);
    assert_eq!(before.1.finished_at, after.1.finished_at);
    server
        .expect_builds(
            "bump",
            &[
                ("libgreet", BuildStatus::Built),
                ("greet", BuildStatus::Ready),
            ],
        )
        .await;
}

#[tokio::test]
async fn records_concurrent_equal_successes_once() {
    let (server, _, job) = building().await;
    let outcome = reported(&job.makes_and_uploads().await);
    let all = (0..5).map(|_| job.reports(&outcome));
    let responses = futures_util::future::join_all(all).await;
    // The ones in between may be rejected as late, but not with an internal error.
    let (accepted, refused): (Vec<_>, Vec<_>) = responses.into_iter().partition(Result::is_ok);
    assert!(!accepted.is_empty());
    for response in refused {
        assert_eq!(refusal(response).kind, ProblemKind::AttemptEnded);
    }
    job.reports(&outcome).await.unwrap();
    let mut events = server.follow("bump").await;
    events.until("build.built").await;

    server
        .expect_builds(
            "bump",
            &[
                ("libgreet", BuildStatus::Built),
                ("greet", BuildStatus::Ready),
            ],
        )
        .await;
}

#[tokio::test]
async fn accepts_repeated_failure_without_change() {
    let (server, _, job) = building().await;
    let outcome = failed(FailureKind::Package, "it does not compile");
    job.reports(&outcome).await.unwrap();
    server.follow("bump").await.until("iteration.failed").await;
    let before = count_events(&server).await;
    let again = job.reports(&outcome).await.unwrap();
    assert_eq!(again.status, AttemptStatus::Failed);
    assert_eq!(count_events(&server).await, before);
}

#[tokio::test]
async fn accepts_repeated_failure_with_long_message() {
    let (server, _, job) = building().await;
    let outcome = failed(FailureKind::Package, &"ö".repeat(10_000));
    job.reports(&outcome).await.unwrap();
    job.reports(&outcome).await.unwrap();
    let message = server.build("bump", "libgreet").await.message.unwrap();
    assert_eq!(message, "ö".repeat(4_000));
}

#[tokio::test]
async fn rejects_different_outcome_after_success() {
    let (server, _, job) = building().await;
    let packages = job.makes_and_uploads().await;
    job.reports(&reported(&packages)).await.unwrap();
    let problem = refusal(job.reports(&failed(FailureKind::Package, "no")).await);
    assert_eq!(
        (problem.status, problem.kind),
        (409, ProblemKind::AttemptEnded)
    );
    let fewer = refusal(job.reports(&reported(&packages[..1])).await);
    assert_eq!((fewer.status, fewer.kind), (409, ProblemKind::AttemptEnded));
    server
        .expect_builds(
            "bump",
            &[
                ("libgreet", BuildStatus::Built),
                ("greet", BuildStatus::Ready),
            ],
        )
        .await;
}

#[tokio::test]
async fn rejects_different_outcome_after_failure() {
    let (server, _, job) = building().await;
    let packages = job.makes_and_uploads().await;
    job.reports(&failed(FailureKind::Package, "no"))
        .await
        .unwrap();
    for other in [
        reported(&packages),
        failed(FailureKind::Package, "another story"),
        failed(FailureKind::Infrastructure, "no"),
    ] {
        let problem = refusal(job.reports(&other).await);
        assert_eq!(
            (problem.status, problem.kind),
            (409, ProblemKind::AttemptEnded),
            "{other:?}"
        );
    }
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert!(repository.lists().await.is_empty());
}

#[tokio::test]
async fn rejects_incomplete_success_until_packages_are_uploaded() {
    let (server, _, job) = building().await;
    let packages = job.create_packages().await;
    let unexpected = ProblemKind::UnexpectedPackage;

    let nothing = refusal(job.reports(&reported(&[])).await);
    assert_eq!((nothing.status, nothing.kind), (422, unexpected));
    let early = refusal(job.reports(&reported(&packages)).await);
    assert_eq!((early.status, early.kind), (422, unexpected));
    assert!(early.title.contains("not uploaded"), "{early:?}");
    job.uploads(&packages[0]).await.unwrap();
    let half = refusal(job.reports(&reported(&packages[..1])).await);
    assert_eq!((half.status, half.kind), (422, unexpected));
    assert!(half.title.ends_with("libgreet is missing"), "{half:?}");
    job.uploads(&packages[1]).await.unwrap();
    let concealed = refusal(job.reports(&reported(&packages[..1])).await);
    assert_eq!((concealed.status, concealed.kind), (422, unexpected));
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Building
    );

    job.reports(&reported(&packages)).await.unwrap();
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Built
    );
}

#[tokio::test]
async fn rejects_unplanned_release() {
    let (server, worker, job) = building().await;
    job.succeeds().await;
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.version.as_str(), "1.0-1.1");
    // The PKGBUILD's own release: the bump was forgotten.
    let package = make_package("greet", "1.0-1", "x86_64", job.folder());
    job.uploads(&package).await.unwrap();
    let problem = refusal(job.reports(&reported(&[package])).await);
    assert_eq!(
        (problem.status, problem.kind),
        (422, ProblemKind::UnexpectedPackage)
    );
    assert!(problem.title.contains("1.0-1.1"), "{problem:?}");
    assert_eq!(
        server.build("bump", "greet").await.status,
        BuildStatus::Dispatched
    );
}

#[tokio::test]
async fn records_version_computed_by_the_build() {
    let (server, worker, job) = building().await;
    job.succeeds().await;
    let job = worker.claims_build_of("greet").await;
    let package = make_package("greet", "1.0.r7.gabcdef-1.1", "x86_64", job.folder());
    job.uploads(&package).await.unwrap();
    job.reports(&reported(&[package])).await.unwrap();
    let build = server.build("bump", "greet").await;
    assert_eq!(build.version.as_str(), "1.0.r7.gabcdef-1.1");
    let lists = Repository::new(server.url(), "bump", "1", "x86_64")
        .lists()
        .await;
    assert!(
        lists.contains(&"greet-1.0.r7.gabcdef-1.1".to_owned()),
        "{lists:?}"
    );
}

#[tokio::test]
async fn rejects_malformed_outcomes() {
    let (server, worker, job) = building().await;
    let path = format!("/api/v1/attempts/{}/outcome", job.claimed.attempt);
    let put = || {
        server
            .request(Method::PUT, &path)
            .bearer_auth(&worker.token)
    };
    for body in [
        json!({}),
        json!({ "result": "perhaps" }),
        json!({ "result": "failed", "kind": "bad luck", "message": "" }),
        json!({ "result": "succeeded", "packages": [{ "file_name": "../x", "sha256": "0" }] }),
    ] {
        let response = put().json(&body).send().await.unwrap();
        let problem = expect_problem(response, 400, ProblemKind::InvalidRequest).await;
        assert!(problem.detail.is_some(), "{body}");
    }
    let long = Outcome::failed(FailureKind::Package, "x".repeat(1024 * 1024));
    let response = put().json(&long).send().await.unwrap();
    expect_problem(response, 413, ProblemKind::TooLarge).await;
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Building
    );
}
