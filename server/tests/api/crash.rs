//! The server is killed at arbitrary moments and resumes its work.

use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::client::SourceQuery;
use buildbtw_model::{
    AttemptStatus, BackgroundTask, BuildStatus, ClaimId, FailureKind, IterationStatus,
};

use crate::support::{
    Repository, SourceTree, Srcinfo, TestServer, eventually, failed, refusal, reported,
};

fn chain(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

#[tokio::test]
async fn build_continues_through_crash_without_second_attempt() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    job.logs(0, "==> before\n").await.unwrap();
    let packages = job.create_packages().await;
    job.uploads(&packages[0]).await.unwrap();

    server.crash().await;
    server.start_again().await;

    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);
    assert_eq!(job.logs(11, "==> after\n").await.unwrap().length, 21);
    job.starts().await;
    // The package was uploaded; a worker finds that out by sending it again.
    job.uploads(&packages[0]).await.unwrap();
    job.reports(&reported(&packages)).await.unwrap();
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let build = server.public().build(job.claimed.build).await.unwrap();
    assert_eq!(build.attempts.len(), 1);
    let log = server
        .public()
        .log(job.claimed.attempt, 0, false)
        .await
        .unwrap();
    assert_eq!(log.text().await.unwrap(), "==> before\n==> after\n");
}

#[tokio::test]
async fn publishes_accepted_build_at_start() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    server.crash().await;
    // As if killed right after the outcome was recorded: the repository is still empty.
    server
        .sql("update attempt set status = 'succeeded', finished_at = created_at")
        .await;
    server
        .sql(
            "update build set packages_attempt_id = (select id from attempt)
             where pkgbase = 'libgreet'",
        )
        .await;
    server.start_again().await;

    let mut events = server.follow("bump").await;
    events.until_build("build.built", "libgreet").await;

    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert_eq!(repository.lists().await, ["libgreet-2.0-1"]);
    let worker = worker.at_server(server.url());
    let again = worker
        .job(job.claimed.clone())
        .reports(&reported(&packages))
        .await
        .unwrap();
    assert_eq!(again.status, AttemptStatus::Succeeded);
    let uploads = server
        .data()
        .join("uploads")
        .join(job.claimed.attempt.to_string());
    assert!(!uploads.exists(), "uploads stay after they were published");
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn lists_linked_packages_at_start() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.builds("libgreet").await;
    server.crash().await;
    // The repository folder is complete and the uploads are gone, but the row does not reflect it
    // yet.
    server
        .sql("update build set status = 'building', finished_at = null where pkgbase = 'libgreet'")
        .await;
    server
        .sql(
            "update build set status = 'blocked', missing_dependencies = 1 where pkgbase = 'greet'",
        )
        .await;
    let database = server.data().join("repos/bump/1/x86_64/bump.db");
    fs_err::remove_file(database).unwrap();
    server.start_again().await;

    let worker = server.worker("other").await;
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let repository = Repository::new(server.url(), "bump", "latest", "x86_64");
    assert_eq!(
        repository.lists().await,
        ["greet-1.0-1.1", "libgreet-2.0-1"]
    );
    let build = server.public().build(job.claimed.build).await.unwrap();
    assert_eq!(
        build.attempts.len(),
        1,
        "a finished build is not built again"
    );
}

#[tokio::test]
async fn accepts_repeated_outcome_after_lost_response() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    job.reports(&reported(&packages)).await.unwrap();
    server.crash().await;
    server.start_again().await;

    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);
    let again = job.reports(&reported(&packages)).await.unwrap();
    assert_eq!(again.status, AttemptStatus::Succeeded);
    let other = refusal(job.reports(&failed(FailureKind::Package, "no")).await);
    assert_eq!(other.kind, ProblemKind::AttemptEnded);
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
async fn repeated_claim_returns_same_attempt_after_crash() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let claim = ClaimId::new();
    let first = worker.claims_once(claim, 30).await.unwrap().unwrap();
    server.crash().await;
    server.start_again().await;
    let worker = worker.at_server(server.url());
    let again = worker.claims_once(claim, 30).await.unwrap().unwrap();
    assert_eq!(first.claimed.attempt, again.claimed.attempt);
    again.succeeds().await;
    worker.builds("greet").await;
}

#[tokio::test]
async fn renews_leases_at_start_after_long_downtime() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    server.crash().await;
    server.advance(Duration::from_hours(24));
    server.start_again().await;
    let worker = worker.at_server(server.url());
    worker.job(job.claimed).succeeds().await;
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn requeues_build_of_dead_worker_after_restart() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    server.worker("dead").await.claims().await.starts().await;
    server.crash().await;
    server.start_again().await;
    server.expire_leases();
    let mut events = server.follow("bump").await;
    events.until("attempt.lost").await;
    server.worker("alive").await.builds("libgreet").await;
}

#[tokio::test]
async fn resumes_event_stream_after_crash() {
    let mut server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let mut events = server.follow("bump").await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    let last = events.until("build.dispatched").await;
    job.starts().await;
    server.crash().await;
    server.start_again().await;
    worker
        .at_server(server.url())
        .job(job.claimed)
        .succeeds()
        .await;

    let mut events = server.follow_after("bump", Some(last.id)).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "build.built") {
        let event = events.next().await;
        assert!(event.id > last.id);
        kinds.push(event.kind.to_string());
    }
    let expected = ["build.building", "attempt.succeeded", "build.built"];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn detects_pushes_during_downtime_at_start() {
    let mut server = TestServer::start(chain).await;
    server.crash().await;
    server.sources.push(&Srcinfo::new("libgreet", "3.0-1"));
    server.sources.push(&Srcinfo::new("new", "1-1"));
    server.sources.remove("greet");
    server.start_again().await;
    // No waiting: a server responds once it has read its sources.
    let all = SourceQuery::default();
    let page = server.public().sources(&all, None).await.unwrap();
    let found: Vec<_> = page
        .iter()
        .map(|source| format!("{} {}", source.path, source.version.as_ref().unwrap()))
        .collect();
    assert_eq!(found, ["libgreet 3.0-1", "new 1-1"]);
}

#[tokio::test]
async fn shutdown_ends_waiting_claims() {
    let mut server = TestServer::start(chain).await;
    let worker = server.worker("w").await;
    let request = worker.request(ClaimId::new(), 45);
    let client = worker.client.clone();
    let waiting = tokio::spawn(async move { client.claim(&request).await });
    server.namespace("other", &["libgreet/main"]).await;
    waiting.await.unwrap().unwrap().expect("a build was ready");
    let late = server.worker("late").await;
    let request = late.request(ClaimId::new(), 45);
    let waiting = tokio::spawn(async move { late.client.claim(&request).await });
    let mut events = server.follow_after("other", None).await;
    eventually("the claim has arrived", async || {
        let known = "select count(*) from worker where name = 'late'";
        (server.number(known).await > 0).then_some(())
    })
    .await;

    server.stop().await;
    // Requests that are cut off after the grace time get no response.
    let response = waiting.await.unwrap().expect("no response");
    assert!(response.is_none());
    assert!(events.end().await.is_none());
    assert!(!server.data().join("address").exists());
}

/// The worker learns that its packages are not published yet, and never returns.
#[tokio::test]
async fn retries_failed_publication() {
    let server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    let (staging, aside) = (server.data().join("staging"), server.data().join("aside"));
    fs_err::rename(&staging, &aside).unwrap();
    let response = job.reports(&reported(&packages)).await;
    assert!(response.is_err(), "{response:?}");
    let build = server.build("bump", "libgreet").await;
    assert_eq!(build.status, BuildStatus::Building);
    let outages = async || server.admin().outages().await.unwrap();
    let outage = outages().await.remove(0);
    assert_eq!(outage.task, BackgroundTask::Publisher);
    assert!(outage.message.contains("`bump` for x86_64"), "{outage:?}");
    fs_err::rename(&aside, &staging).unwrap();

    let mut events = server.follow("bump").await;
    events.until_build("build.built", "libgreet").await;
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert_eq!(repository.lists().await, ["libgreet-2.0-1"]);
    eventually("no outage", async || {
        outages().await.is_empty().then_some(())
    })
    .await;
}
