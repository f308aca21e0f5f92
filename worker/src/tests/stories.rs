//! Builds while the server and the worker fail around them.

use std::num::NonZeroUsize;
use std::time::Duration;

use buildbtw_fake_server::{FakeServer, Fault, build};
use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;

use super::support::{FOREVER, Worker, config, files_in};
use crate::WorkerError;

fn failed(outcome: &Outcome) -> Option<(FailureKind, &str)> {
    match outcome {
        Outcome::Failed { kind, explanation } => Some((*kind, &explanation.message)),
        Outcome::Succeeded { .. } => None,
    }
}

/// Rejects or loses about every fourth request, in an order that is always the same.
fn random_faults(number: u64, _path: &str) -> Fault {
    match number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 {
        0 => Fault::Unavailable,
        1 => Fault::LoseResponse,
        _ => Fault::None,
    }
}

#[tokio::test]
async fn builds_once_and_loses_nothing_under_server_faults() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(random_faults);
    let builds: Vec<_> = (0..12).map(|n| build(&format!("pkg{n}"))).collect();
    server.change(|inner| inner.queue.extend(builds.iter().cloned()));
    let mut config = config(&server, scratch.path(), Duration::ZERO);
    config.jobs = NonZeroUsize::new(4).unwrap();
    let worker = Worker::start(config);
    server
        .until("all outcomes", |inner| {
            let done = |attempt: &buildbtw_fake_server::Attempt| !attempt.outcomes.is_empty();
            inner.attempts.len() == 12 && inner.attempts.values().all(done)
        })
        .await;
    server.set_faults(|_, _| Fault::None);
    worker.stop().await.unwrap();
    for build in builds {
        let attempt = server.attempt(build.attempt);
        assert!(failed(&attempt.outcomes[0]).is_none(), "{attempt:?}");
        assert_eq!(attempt.packages.len(), 2);
        let name = &build.pkgbase;
        assert_eq!(
            String::from_utf8(attempt.log).unwrap(),
            format!(
                "==> buildbtw: simulating {name} for 0 ms\n\
                 ==> buildbtw: built {name}-1.0-1.1-x86_64.pkg.tar.zst\n\
                 ==> buildbtw: built {name}-docs-1.0-1.1-any.pkg.tar.zst\n"
            )
        );
    }
    assert_eq!(server.change(|inner| inner.unexpected_assignments.len()), 0);
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn keeps_result_until_killed_server_returns() {
    let (mut server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("a");
    server.set_faults(|_, path| match path.ends_with("/outcome") {
        true => Fault::Unavailable,
        false => Fault::None,
    });
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server
        .until("a try to report", |inner| inner.outcome_requests > 0)
        .await;
    server.kill();
    server.set_faults(|_, _| Fault::None);
    server.restart().await;
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn killed_worker_reports_finished_build_without_rebuilding() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(|_, path| match path.ends_with("/outcome") {
        true => Fault::Unavailable,
        false => Fault::None,
    });
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    // The second attempt comes after a pause, by which time the outcome is on disk.
    server
        .until("two tries to report", |inner| inner.outcome_requests > 1)
        .await;
    worker.kill().await;
    let log = server.attempt(build.attempt).log;
    server.change(|inner| {
        let attempt = inner.attempts.get_mut(&build.attempt).unwrap();
        attempt.packages.clear();
    });
    server.set_faults(|_, _| Fault::None);
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
    let attempt = server.attempt(build.attempt);
    assert!(failed(&attempt.outcomes[0]).is_none(), "{attempt:?}");
    assert_eq!(attempt.packages.len(), 2);
    assert_eq!(attempt.log, log);
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn requeues_interrupted_build_immediately() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("the beginning of its log", |inner| {
            inner
                .attempts
                .values()
                .any(|attempt| !attempt.log.is_empty())
        })
        .await;
    worker.kill().await;
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
    let attempt = server.attempt(build.attempt);
    let expected = (FailureKind::Infrastructure, "worker restarted");
    assert_eq!(failed(&attempt.outcomes[0]), Some(expected));
    let log = String::from_utf8(attempt.log).unwrap();
    assert!(log.starts_with("==> buildbtw: simulating a "), "{log}");
    assert!(log.contains("the worker was restarted"), "{log}");
}

#[tokio::test]
async fn repeats_claim_whose_response_was_lost_in_a_crash() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.set_faults(|_, path| match path.ends_with("/claim") {
        true => Fault::LoseResponse,
        false => Fault::None,
    });
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server
        .until("the claim", |inner| !inner.claims.is_empty())
        .await;
    worker.kill().await;
    server.set_faults(|_, _| Fault::None);
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
    assert!(failed(&server.attempt(build.attempt).outcomes[0]).is_none());
    assert_eq!(server.change(|inner| inner.claims.len()), 1);
}

#[tokio::test]
async fn stops_and_reports_cancelled_build() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("a heartbeat", |inner| {
            inner
                .attempts
                .values()
                .any(|attempt| attempt.heartbeats > 0)
        })
        .await;
    server.change(|inner| inner.attempts.get_mut(&build.attempt).unwrap().cancel = true);
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
    let attempt = server.attempt(build.attempt);
    let expected = (FailureKind::Cancelled, "cancelled");
    assert_eq!(failed(&attempt.outcomes[0]), Some(expected));
}

#[tokio::test]
async fn drops_lost_attempt_and_continues() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let (lost, next) = (build("a"), build("b"));
    server.change(|inner| inner.queue.push_back(lost.clone()));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("a heartbeat", |inner| {
            inner
                .attempts
                .values()
                .any(|attempt| attempt.heartbeats > 0)
        })
        .await;
    server.change(|inner| {
        inner.attempts.get_mut(&lost.attempt).unwrap().has_ended = true;
        inner.queue.push_back(next.clone());
    });
    server
        .until("a heartbeat of the next one", |inner| {
            let next = inner.attempts.get(&next.attempt);
            next.is_some_and(|attempt| attempt.heartbeats > 0)
        })
        .await;
    worker.stop().await.unwrap();
    assert!(server.attempt(lost.attempt).outcomes.is_empty());
    let attempt = server.attempt(next.attempt);
    let expected = (FailureKind::Infrastructure, "worker shut down");
    assert_eq!(failed(&attempt.outcomes[0]), Some(expected));
    assert_eq!(files_in(scratch.path(), "attempts"), 0);
}

#[tokio::test]
async fn fails_build_immediately_on_rejected_upload() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("refused");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server
        .until("the outcome", |inner| {
            inner
                .attempts
                .values()
                .any(|attempt| !attempt.outcomes.is_empty())
        })
        .await;
    worker.stop().await.unwrap();
    let attempt = server.attempt(build.attempt);
    let (kind, message) = failed(&attempt.outcomes[0]).unwrap();
    assert_eq!(kind, FailureKind::Package);
    assert!(message.contains("UnexpectedPackage"), "{message}");
    // Neither sent again, nor followed by the other package of the build.
    assert_eq!(server.change(|inner| inner.upload_requests), 1);
    assert_eq!(attempt.outcomes.len(), 1);
}

#[tokio::test]
async fn rejected_token_ends_worker_and_keeps_results() {
    let (server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    let build = build("a");
    server.change(|inner| inner.queue.push_back(build.clone()));
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("a heartbeat", |inner| {
            inner
                .attempts
                .values()
                .any(|attempt| attempt.heartbeats > 0)
        })
        .await;
    server.change(|inner| inner.denied = true);
    let error = worker.wait().await.unwrap_err();
    assert!(matches!(error, WorkerError::Denied { .. }), "{error}");
    assert!(
        error
            .explanation()
            .hint
            .unwrap()
            .contains("buildbtw token create"),
        "{error}"
    );
    assert_eq!(files_in(scratch.path(), "attempts"), 1);
    // With an accepted token, the result is reported.
    server.change(|inner| inner.denied = false);
    let worker = Worker::start(config(&server, scratch.path(), FOREVER));
    server
        .until("the outcome", |inner| {
            !inner.attempts[&build.attempt].outcomes.is_empty()
        })
        .await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn waits_for_server_to_start() {
    let (mut server, scratch) = (FakeServer::start().await, tempfile::tempdir().unwrap());
    server.kill();
    let worker = Worker::start(config(&server, scratch.path(), Duration::ZERO));
    server.restart().await;
    server
        .until("a claim", |inner| inner.claim_requests > 0)
        .await;
    worker.stop().await.unwrap();
}
