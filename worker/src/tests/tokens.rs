//! The token of a worker is replaced while it has attempts of the old one.

use std::time::Duration;

use buildbtw_fake_server::{FakeServer, Fault, build};
use buildbtw_model::TokenScope;
use buildbtw_model::api::{ClaimedBuild, Outcome};
use tempfile::TempDir;

use super::support::{FOREVER, Worker, config, files_in};
use crate::WorkerError;

/// Kills a worker during a build, and replaces its token.
async fn killed(adoptable: bool) -> (FakeServer, TempDir, ClaimedBuild) {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("a heartbeat", |inner| {
            let attempt = inner.attempts.get(&build.attempt);
            attempt.is_some_and(|attempt| attempt.heartbeats > 0)
        })
        .await;
    worker.kill().await;
    server.change(|inner| {
        let attempt = inner.attempts.get_mut(&build.attempt).unwrap();
        attempt.foreign = true;
        attempt.adoptable = adoptable;
    });
    (server, scratch, build)
}

/// Does the same, and restarts the worker with another token.
async fn with_another_token(adoptable: bool) -> (FakeServer, TempDir, ClaimedBuild, Worker) {
    let (server, scratch, build) = killed(adoptable).await;
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    (server, scratch, build, worker)
}

/// Waits until the worker has claimed and finished another build.
async fn builds_another(server: &FakeServer) {
    let next = build("next");
    server.change(|inner| inner.queue.push_back(next.clone()));
    server
        .until("the next outcome", |inner| {
            let attempt = inner.attempts.get(&next.attempt);
            attempt.is_some_and(|attempt| !attempt.outcomes.is_empty())
        })
        .await;
    let outcomes = server.attempt(next.attempt).outcomes;
    assert!(
        matches!(outcomes[0], Outcome::Succeeded { .. }),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn adopts_attempt_of_invalid_token() {
    let (server, scratch, build, worker) = with_another_token(true).await;
    builds_another(&server).await;
    worker.stop().await.unwrap();
    assert_eq!(server.attempt(build.attempt).outcomes.len(), 1);
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn drops_attempt_of_another_valid_token_and_continues() {
    let (server, scratch, build, worker) = with_another_token(false).await;
    builds_another(&server).await;
    worker.stop().await.unwrap();
    assert!(server.attempt(build.attempt).outcomes.is_empty());
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn drops_claim_of_another_token_and_continues() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(|_, path| match path.ends_with("/claim") {
        true => Fault::LoseResponse,
        false => Fault::None,
    });
    server.change(|inner| inner.queue.push_back(build("a")));
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server
        .until("the claim", |inner| !inner.claims.is_empty())
        .await;
    worker.kill().await;
    server.set_faults(|_, _| Fault::None);
    server.change(|inner| inner.foreign_claims = inner.claims.keys().copied().collect());
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    builds_another(&server).await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn token_without_worker_scope_ends_worker_and_keeps_results() {
    let (server, scratch, build) = killed(false).await;
    server.change(|inner| inner.scope = Some(TokenScope::Client));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    let error = worker.wait().await.unwrap_err();
    assert!(matches!(error, WorkerError::Denied { .. }), "{error}");
    assert_eq!(files_in(scratch.path(), "attempts"), 1);
    assert!(server.attempt(build.attempt).outcomes.is_empty());
}
