//! Cancel, resume, retry, delete.

use std::time::Duration;

use buildbtw_model::api::{CreateIteration, ProblemKind, RetryBuilds};
use buildbtw_model::{BuildStatus, ClaimId, FailureKind, IterationStatus};
use reqwest::Method;

use crate::support::{
    Repository, SourceTree, Srcinfo, TestServer, eventually, new_namespace, parse, refusal,
};

/// Pushes `libgreet` <- `greet`, `libgreet` <- `party`.
fn family(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("party", "1.0-1").depends(&["libgreet"]));
}

fn retry_only(pkgbases: &[&str]) -> RetryBuilds {
    RetryBuilds {
        pkgbases: pkgbases.iter().map(|name| parse(name)).collect(),
        ..RetryBuilds::default()
    }
}

/// Retries builds of the namespace `bump`, and returns their number.
async fn retried(server: &TestServer, builds: &RetryBuilds) -> usize {
    let retried = server.admin().retry_builds(&parse("bump"), builds).await;
    retried.unwrap().builds.len()
}

/// Waits until the repository of a namespace has reused the packages of `libgreet`.
async fn is_reused(server: &TestServer, namespace: &str) {
    eventually("the packages are there", async || {
        let build = server.build(namespace, "libgreet").await;
        (build.status == BuildStatus::Reused).then_some(())
    })
    .await;
}

#[tokio::test]
async fn cancel_stops_running_builds_and_holds_the_rest_until_resume() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let job = worker.claims().await;
    job.starts().await;

    let cancelled = server.admin().cancel(&name).await.unwrap();
    assert!(cancelled.summary.held);
    // Repeating it has no effect.
    server.admin().cancel(&name).await.unwrap();
    assert!(
        job.heartbeat().await.unwrap().cancel,
        "the worker does not learn of the cancellation"
    );
    let more = worker.claims_once(ClaimId::new(), 0).await.unwrap();
    assert!(more.is_none(), "a build was dispatched");
    job.fails(FailureKind::Cancelled, "cancelled").await;
    server
        .expect_builds(
            "bump",
            &[
                ("libgreet", BuildStatus::Built),
                ("greet", BuildStatus::Cancelled),
                ("party", BuildStatus::Cancelled),
            ],
        )
        .await;
    server
        .expect_iteration("bump", IterationStatus::Cancelled)
        .await;
    let problem = refusal(
        server
            .admin()
            .create_iteration(&name, CreateIteration::default())
            .await,
    );
    assert_eq!(problem.kind, ProblemKind::Conflict);
    let problem = refusal(server.admin().retry_builds(&name, &retry_only(&[])).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    assert!(problem.hint.unwrap().contains("resume"));

    let resumed = server.admin().resume(&name).await.unwrap();
    assert!(!resumed.summary.held);
    server
        .expect_iteration("bump", IterationStatus::Running)
        .await;
    worker.claims().await.succeeds().await;
    worker.claims().await.succeeds().await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let counts = server.iteration("bump").await.summary.counts;
    assert_eq!((counts.done, counts.total()), (3, 3));
    for refused in [
        server.admin().cancel(&name).await,
        server.admin().resume(&name).await,
    ] {
        let problem = refusal(refused);
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.hint.is_some(), "{problem:?}");
    }
}

#[tokio::test]
async fn keeps_build_cancelled_when_its_worker_finishes_or_is_lost() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let (lost, done) = (worker.claims().await, worker.claims().await);
    server.admin().cancel(&name).await.unwrap();
    // The lease of the first expires; the second was faster than the cancellation.
    lost.fails(FailureKind::Infrastructure, "the machine is gone")
        .await;
    done.succeeds().await;
    server
        .expect_iteration("bump", IterationStatus::Cancelled)
        .await;
    let built = done.claimed.pkgbase.to_string();
    assert_eq!(
        server.build("bump", &built).await.status,
        BuildStatus::Built
    );
    server.admin().resume(&name).await.unwrap();
    worker.claims_build_of(lost.claimed.pkgbase.as_str()).await;
}

#[tokio::test]
async fn resume_before_worker_notices_cancellation_loses_no_build() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    server.admin().cancel(&name).await.unwrap();
    server.admin().resume(&name).await.unwrap();
    assert!(!job.heartbeat().await.unwrap().cancel);
    // An earlier heartbeat already reported it.
    job.fails(FailureKind::Cancelled, "cancelled").await;
    worker.builds("libgreet").await;
    server
        .expect_iteration("bump", IterationStatus::Running)
        .await;
}

#[tokio::test]
async fn resume_applies_changes_made_during_cancellation() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    server.admin().cancel(&name).await.unwrap();
    server.sources.push(&Srcinfo::new("libgreet", "3.0-1"));
    server.source_at("libgreet", "3.0-1").await;
    assert_eq!(server.iteration("bump").await.summary.number, 1);
    server.admin().resume(&name).await.unwrap();
    let iteration = server.iteration("bump").await;
    assert_eq!(iteration.summary.number, 2);
    let job = server.worker("w").await.claims_build_of("libgreet").await;
    assert_eq!(job.claimed.version.to_string(), "3.0-1");
}

#[tokio::test]
async fn retry_requeues_failed_builds_and_unblocks_dependents() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let none = refusal(server.admin().retry_builds(&name, &retry_only(&[])).await);
    assert_eq!(none.kind, ProblemKind::Conflict);
    worker
        .claims()
        .await
        .fails(FailureKind::Package, "no compiler")
        .await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;

    let unknown = refusal(
        server
            .admin()
            .retry_builds(&name, &retry_only(&["nosuch"]))
            .await,
    );
    assert_eq!(unknown.kind, ProblemKind::NotFound);
    let both = retry_only(&["libgreet", "greet"]);
    let waiting = refusal(server.admin().retry_builds(&name, &both).await);
    assert_eq!(waiting.kind, ProblemKind::Conflict);
    assert!(
        waiting
            .title
            .contains("`greet` has not failed: it is blocked")
    );
    // A rejected request changes nothing.
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Failed
    );

    assert_eq!(retried(&server, &retry_only(&["libgreet"])).await, 1);
    server
        .expect_iteration("bump", IterationStatus::Running)
        .await;
    worker.builds("libgreet").await;
    worker.claims().await.succeeds().await;
    worker
        .claims()
        .await
        .fails(FailureKind::Timeout, "too slow")
        .await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
    assert_eq!(retried(&server, &retry_only(&[])).await, 1);
    worker.claims().await.succeeds().await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn retry_resets_number_of_attempts() {
    let server = TestServer::start(family).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let mut tries = 0;
    while server.build("bump", "libgreet").await.status != BuildStatus::Failed {
        // Past any backoff.
        server.advance(Duration::from_mins(10));
        let job = worker.claims().await;
        job.fails(FailureKind::Infrastructure, "no disk").await;
        tries += 1;
    }
    assert_eq!(retried(&server, &retry_only(&[])).await, 1);
    for _ in 0..2 {
        let job = worker.claims().await;
        job.fails(FailureKind::Infrastructure, "no disk").await;
        // A build in backoff is retried immediately, too.
        assert_eq!(retried(&server, &retry_only(&[])).await, 1);
    }
    worker.builds("libgreet").await;
    assert_eq!(tries, 6);
}

#[tokio::test]
async fn deletes_namespace_and_keeps_packages_reused_elsewhere() {
    let server = TestServer::start(family).await;
    let name = server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.logs(0, "building\n").await.unwrap();
    job.succeeds().await;
    let running = worker.claims().await;
    running.logs(0, "half\n").await.unwrap();

    server.namespace("other", &["libgreet/main"]).await;
    is_reused(&server, "other").await;
    server.admin().delete_namespace(&name).await.unwrap();
    let deleted = refusal(server.public().namespace(&name).await);
    assert_eq!(deleted.kind, ProblemKind::NotFound);
    assert!(!server.data().join("repos/bump").exists());
    let log =
        |attempt: buildbtw_model::AttemptId| server.data().join(format!("logs/{attempt}.log"));
    assert!(!log(running.claimed.attempt).exists());
    assert!(
        log(job.claimed.attempt).exists(),
        "the log of the reused build is missing"
    );
    let late = refusal(running.heartbeat().await);
    assert_eq!(late.kind, ProblemKind::NotFound);

    let repository = Repository::new(server.url(), "other", "1", "x86_64");
    assert_eq!(repository.lists().await, ["libgreet-2.0-1"]);
    let id = server.build("other", "libgreet").await.id;
    let build = server.public().build(id).await.unwrap();
    assert_eq!(build.attempts.len(), 1);
    assert_eq!(build.packages.len(), 1);
    // The name is free, and the reused packages can be reused again.
    server
        .admin()
        .create_namespace(&new_namespace(&["libgreet/main"]))
        .await
        .unwrap();
    server.namespace("bump", &["libgreet/main"]).await;
    is_reused(&server, "bump").await;
    server
        .admin()
        .delete_namespace(&parse("other"))
        .await
        .unwrap();
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert_eq!(repository.lists().await, ["libgreet-2.0-1"]);
}

#[tokio::test]
async fn finishes_interrupted_deletion_at_start() {
    let mut server = TestServer::start(family).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.logs(0, "building\n").await.unwrap();
    job.succeeds().await;
    server
        .sql("pragma foreign_keys = on; delete from namespace")
        .await;
    server.crash().await;
    server.start_again().await;
    assert!(!server.data().join("repos/bump").exists());
    assert_eq!(
        std::fs::read_dir(server.data().join("logs"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        std::fs::read_dir(server.data().join("trash"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn returns_404_for_unknown_namespace() {
    let server = TestServer::start(family).await;
    for (method, path) in [
        (Method::POST, "/api/v1/namespaces/nosuch/cancel"),
        (Method::POST, "/api/v1/namespaces/nosuch/resume"),
        (Method::DELETE, "/api/v1/namespaces/nosuch"),
    ] {
        let response = server.admin_request(method, path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
}
