//! Dispatch of builds to workers, and what happens after failures.

use std::time::Duration;

use buildbtw_model::api::{CreateNamespace, ProblemKind};
use buildbtw_model::{
    AttemptStatus, BuildStatus, ClaimId, CommitTime, FailureKind, IterationStatus, Scope,
};

use crate::support::{
    PATIENCE, Repository, ServerOptions, SourceTree, Srcinfo, TestServer, new_namespace, parse,
    refusal,
};

/// As long as any backoff between attempts.
const BACKOFF: Duration = Duration::from_mins(10);

/// Pushes `libgreet` <- `greet` <- `greet-gui`.
fn chain(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    sources.push(&Srcinfo::new("greet-gui", "1.0-1").depends(&["greet"]));
}

/// Pushes unrelated packages.
fn unrelated_packages(sources: &SourceTree) {
    for name in ["a", "b", "c", "d"] {
        sources.push(&Srcinfo::new(name, "1-1"));
    }
}

#[tokio::test]
async fn runs_rebuild_in_order_until_done() {
    let server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    let worker = server.worker("w").await;

    assert!(repository.lists().await.is_empty());
    let job = worker.claims_build_of("libgreet").await;
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Dispatched
    );
    job.starts().await;
    assert_eq!(
        server.build("bump", "libgreet").await.status,
        BuildStatus::Building
    );
    // A worker waits for the dependent while its dependency is not built.
    let early = worker.request(ClaimId::new(), 30);
    let client = worker.client.clone();
    let early = tokio::spawn(async move { client.claim(&early).await });
    job.succeeds().await;

    let next = early
        .await
        .unwrap()
        .unwrap()
        .expect("no claim got a response");
    assert_eq!(next.pkgbase.as_str(), "greet");
    let own = &next.repositories[0];
    assert_eq!(own.name.as_str(), "bump");
    let seen = Repository::at(&own.servers[0], "bump");
    assert_eq!(seen.lists().await, ["libgreet-2.0-1"]);
    assert_eq!(repository.lists().await, ["libgreet-2.0-1"]);
    worker.job(next).succeeds().await;
    assert_eq!(
        repository.lists().await,
        ["greet-1.0-1.1", "libgreet-2.0-1"]
    );
    server
        .expect_iteration("bump", IterationStatus::Running)
        .await;

    worker.builds("greet-gui").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let counts = server.iteration("bump").await.summary.counts;
    assert_eq!((counts.done, counts.total()), (3, 3));
    let built = server
        .public()
        .build(server.build("bump", "greet").await.id)
        .await
        .unwrap();
    assert_eq!(built.attempts.len(), 1);
    assert_eq!(built.attempts[0].status, AttemptStatus::Succeeded);
    assert_eq!(built.packages.len(), 1);
}

#[tokio::test]
async fn claim_contains_everything_a_worker_needs() {
    let server = TestServer::start(|sources| {
        sources.push(
            &Srcinfo::new("libgreet", "2.0-1")
                .depends(&["glibc"])
                .with("makedepends", "meson")
                .with("checkdepends", "valgrind")
                .with("source", "https://example.org/libgreet.tar.gz")
                .pkgname("libgreet")
                .pkgname("libgreet-doc"),
        );
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = server.worker("w").await.claims().await.claimed;
    assert_eq!(job.namespace.as_str(), "bump");
    assert_eq!((job.iteration, job.stage), (1, 1));
    assert_eq!(
        job.source.commit,
        server.sources.commit_of("libgreet", "main")
    );
    assert!(job.source.clone_url.ends_with("/sources/libgreet"));
    assert_eq!(job.version.as_str(), "2.0-1");
    let mut dependencies = job.dependencies.clone();
    dependencies.sort_unstable();
    assert_eq!(dependencies, ["glibc", "meson", "valgrind"]);
    assert_eq!(job.sources, ["https://example.org/libgreet.tar.gz"]);
    let packages: Vec<_> = job
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(packages, ["libgreet", "libgreet-doc"]);
    assert_eq!(job.source_date_epoch, CommitTime(1_700_000_000));
    assert_eq!(job.lease_s, 60);
}

#[tokio::test]
async fn repeating_a_claim_returns_the_same_attempt() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("two", &["a/main", "b/main"]).await;
    let worker = server.worker("w").await;
    let claim = ClaimId::new();
    let first = worker.claims_once(claim, 30).await.unwrap().unwrap();
    let again = worker.claims_once(claim, 30).await.unwrap().unwrap();
    assert_eq!(first.claimed.attempt, again.claimed.attempt);
    assert_eq!(server.iteration("two").await.summary.counts.building, 1);

    let thief = server.worker("thief").await;
    let problem = refusal(thief.claims_once(claim, 0).await);
    assert_eq!(
        (problem.status, problem.kind),
        (403, ProblemKind::Forbidden)
    );

    first.succeeds().await;
    let problem = refusal(worker.claims_once(claim, 0).await);
    assert_eq!(
        (problem.status, problem.kind),
        (409, ProblemKind::AttemptEnded)
    );
    assert!(problem.hint.unwrap().contains("new id"));
}

#[tokio::test]
async fn concurrent_equal_claims_get_one_build() {
    let server = TestServer::start(unrelated_packages).await;
    let worker = server.worker("w").await;
    let claim = ClaimId::new();
    let request = worker.request(claim, 20);
    let client = worker.client.clone();
    let first = tokio::spawn(async move { client.claim(&request).await });
    let (second, ()) = tokio::join!(worker.claims_once(claim, 20), async {
        server.namespace("two", &["a/main", "b/main"]).await;
    });
    let first = first.await.unwrap().unwrap();
    let second = second.unwrap();
    assert!(first.is_some() || second.is_some());
    assert_eq!(server.iteration("two").await.summary.counts.building, 1);
    let again = worker.claims_once(claim, 20).await.unwrap().unwrap();
    if let (Some(first), Some(second)) = (first, second) {
        assert_eq!(first.attempt, second.claimed.attempt);
    }
    assert_eq!(again.claimed.namespace.as_str(), "two");
}

#[tokio::test]
async fn completes_waiting_claim_when_a_build_becomes_ready() {
    let server = TestServer::start(unrelated_packages).await;
    let worker = server.worker("w").await;
    let request = worker.request(ClaimId::new(), 45);
    let client = worker.client.clone();
    let waiting = tokio::spawn(async move { client.claim(&request).await });
    server.namespace("one", &["a/main"]).await;
    let claimed = tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the claim got no response");
    assert_eq!(claimed.unwrap().unwrap().unwrap().pkgbase.as_str(), "a");
}

#[tokio::test]
async fn waiting_claim_times_out_empty() {
    let server = TestServer::start(unrelated_packages).await;
    let worker = server.worker("w").await;
    let started = tokio::time::Instant::now();
    assert!(
        worker
            .claims_once(ClaimId::new(), 1)
            .await
            .unwrap()
            .is_none()
    );
    assert!(started.elapsed() >= Duration::from_secs(1));
    // A claim with the same id continues to wait.
    let claim = ClaimId::new();
    assert!(worker.claims_once(claim, 0).await.unwrap().is_none());
    server.namespace("one", &["a/main"]).await;
    assert!(worker.claims_once(claim, 30).await.unwrap().is_some());
}

#[tokio::test]
async fn claim_without_wait_gets_ready_build_and_loses_nothing() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_once(ClaimId::new(), 0).await.unwrap();
    job.expect("a ready build was not dispatched")
        .succeeds()
        .await;
    server.expect_iteration("one", IterationStatus::Done).await;
}

#[tokio::test]
async fn rejects_claims_with_invalid_architectures() {
    let server = TestServer::start(unrelated_packages).await;
    let idle = server.worker_for("w", &[]).await;
    let problem = refusal(idle.claims_once(ClaimId::new(), 0).await);
    assert_eq!(
        (problem.status, problem.kind),
        (400, ProblemKind::InvalidRequest)
    );
    let boaster = server.worker_for("w", &["x86_64"; 17]).await;
    let problem = refusal(boaster.claims_once(ClaimId::new(), 0).await);
    assert_eq!(problem.kind, ProblemKind::InvalidRequest);
}

#[tokio::test]
async fn requeues_build_when_lease_expires() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let mut events = server.follow("one").await;
    let silent = server.worker("silent").await;
    let job = silent.claims().await;
    job.starts().await;
    server.expire_leases();

    let lost = events.until("attempt.lost").await;
    assert_eq!(lost.attempt, Some(job.claimed.attempt));
    assert!(lost.message.unwrap().contains("silent"));
    let other = server.worker("other").await.claims_build_of("a").await;
    assert_ne!(other.claimed.attempt, job.claimed.attempt);

    job.expect_reports_rejected().await;
    other.succeeds().await;
    server.expect_iteration("one", IterationStatus::Done).await;
    let build = server.public().build(job.claimed.build).await.unwrap();
    let attempts: Vec<_> = build
        .attempts
        .iter()
        .map(|a| (a.number, a.status))
        .collect();
    assert_eq!(
        attempts,
        [(2, AttemptStatus::Succeeded), (1, AttemptStatus::Lost)]
    );
}

#[tokio::test]
async fn notices_lease_that_expired_while_the_machine_was_suspended() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let mut events = server.follow("one").await;
    let job = server.worker("silent").await.claims().await;
    server.options.clock.jump(Duration::from_hours(1));
    let lost = events.until("attempt.lost").await;
    assert_eq!(lost.attempt, Some(job.claimed.attempt));
}

#[tokio::test]
async fn heartbeats_renew_lease() {
    let options = ServerOptions {
        lease_seconds: 3600,
        ..Default::default()
    };
    let server = TestServer::start_with(options, unrelated_packages).await;
    let expiry = "select min(lease_expires_at) from attempt";
    server.namespace("one", &["a/main"]).await;
    let job = server.worker("w").await.claims().await;
    let full = server.number(expiry).await;
    // Most of the lease is over.
    let most = Duration::from_secs(3000);
    server.advance(most);
    let response = job.heartbeat().await.unwrap();
    assert_eq!((response.lease_s, response.cancel), (3600, false));
    assert!(server.number(expiry).await >= full + 3_000_000);

    // Once another lease was found expired, this one was checked, too.
    server.namespace("two", &["b/main"]).await;
    let mut events = server.follow("two").await;
    let silent = server.worker("silent").await.claims().await;
    server.advance(most);
    job.heartbeat().await.unwrap();
    server.advance(most);
    let lost = events.until("attempt.lost").await;
    assert_eq!(lost.attempt, Some(silent.claimed.attempt));
    job.succeeds().await;
    server.expect_iteration("one", IterationStatus::Done).await;
}

#[tokio::test]
async fn failed_package_blocks_only_its_dependents() {
    let server = TestServer::start(|sources| {
        chain(sources);
        sources.push(&Srcinfo::new("libother", "1-1"));
        sources.push(&Srcinfo::new("other", "1-1").depends(&["libother"]));
    })
    .await;
    server
        .namespace("bump", &["libgreet/main", "libother/main"])
        .await;
    let mut events = server.follow("bump").await;
    let worker = server.worker("w").await;
    let mut jobs = [worker.claims().await, worker.claims().await];
    jobs.sort_by_key(|job| job.claimed.pkgbase.clone());
    let [libgreet, libother] = &jobs;
    libgreet
        .fails(FailureKind::Package, "make: *** [all] Error 2")
        .await;
    let failed = events.until("build.failed").await;
    assert_eq!(failed.message.as_deref(), Some("make: *** [all] Error 2"));

    server
        .expect_iteration("bump", IterationStatus::Running)
        .await;
    libother.succeeds().await;
    worker.builds("other").await;
    events.until("iteration.failed").await;

    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
    server
        .expect_builds(
            "bump",
            &[
                ("libgreet", BuildStatus::Failed),
                ("greet", BuildStatus::Blocked),
                ("greet-gui", BuildStatus::Blocked),
                ("libother", BuildStatus::Built),
                ("other", BuildStatus::Built),
            ],
        )
        .await;
    for blocked in ["greet", "greet-gui"] {
        let build = server.build("bump", blocked).await;
        assert_eq!(build.blocked_by, [parse("libgreet")], "{blocked}");
    }
    let failed = server.build("bump", "libgreet").await;
    assert!(failed.blocked_by.is_empty());
    assert_eq!(failed.message.as_deref(), Some("make: *** [all] Error 2"));
    let attempt = &server.public().build(failed.id).await.unwrap().attempts[0];
    assert_eq!(attempt.status, AttemptStatus::Failed);
    assert_eq!(attempt.failure, Some(FailureKind::Package));
    libgreet.expect_no_retry().await;
}

impl crate::support::Job {
    async fn expect_no_retry(&self) {
        assert_eq!(
            refusal(self.heartbeat().await).kind,
            ProblemKind::AttemptEnded
        );
        assert_eq!(
            refusal(self.logs(0, "late").await).kind,
            ProblemKind::AttemptEnded
        );
    }
}

#[tokio::test]
async fn fails_build_that_exceeds_its_time_limit() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let job = server.worker("w").await.claims().await;
    job.fails(FailureKind::Timeout, "the build took longer than its limit")
        .await;
    server
        .expect_builds("one", &[("a", BuildStatus::Failed)])
        .await;
    server
        .expect_iteration("one", IterationStatus::Failed)
        .await;
}

#[tokio::test]
async fn retries_build_cancelled_by_its_worker() {
    let server = TestServer::start(chain).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.fails(FailureKind::Cancelled, "the worker was stopped")
        .await;
    worker.builds("libgreet").await;
    let libgreet = server.build("bump", "libgreet").await;
    assert_eq!(libgreet.status, BuildStatus::Built);
}

#[tokio::test]
async fn retries_on_another_worker_if_available() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let (bad, good) = (server.worker("bad").await, server.worker("good").await);
    let nothing = good.request(ClaimId::new(), 0);
    let job = bad.claims().await;
    assert!(good.client.claim(&nothing).await.unwrap().is_none());
    job.fails(FailureKind::Infrastructure, "no disk").await;
    let again = bad.claims_once(ClaimId::new(), 0).await.unwrap();
    assert!(
        again.is_none(),
        "the build is dispatched to the same worker again"
    );
    // It does not block others.
    server.namespace("two", &["b/main"]).await;
    bad.builds("b").await;
    good.builds("a").await;
}

#[tokio::test]
async fn retries_infrastructure_failures_up_to_the_limit() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let worker = server.worker("w").await;
    for number in 1..=6 {
        let job = worker.claims_build_of("a").await;
        job.fails(FailureKind::Infrastructure, "the mirror is down")
            .await;
        let build = server.build("one", "a").await;
        if number < 6 {
            assert_eq!(build.status, BuildStatus::Ready, "after {number} failures");
            assert_eq!(build.message.as_deref(), Some("the mirror is down"));
            // The backoff between attempts is tested where it is computed.
            server.advance(BACKOFF);
        } else {
            assert_eq!(build.status, BuildStatus::Failed);
            let message = build.message.unwrap();
            assert!(message.contains("gave up after 6 attempts"), "{message}");
        }
    }
    server
        .expect_iteration("one", IterationStatus::Failed)
        .await;
}

#[tokio::test]
async fn retries_immediately_after_one_infrastructure_failure() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("a").await;
    job.fails(FailureKind::Infrastructure, "out of disk").await;
    job.expect_no_retry().await;
    worker.builds("a").await;
    server.expect_iteration("one", IterationStatus::Done).await;
    assert_eq!(server.build("one", "a").await.message, None);
}

#[tokio::test]
async fn fails_immediately_on_permanent_infrastructure_failure() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("a").await;
    let message = "permission denied: /x/y (its folder /x is not accessible to user `nobody`)";
    job.fails_permanently(FailureKind::Infrastructure, message)
        .await;
    server
        .expect_iteration("one", IterationStatus::Failed)
        .await;
    let build = server.build("one", "a").await;
    assert_eq!(build.message.as_deref(), Some(message));
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn requeues_build_when_backoff_ends() {
    let server = TestServer::start(unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    server.options.clock.freeze();
    let worker = server.worker("w").await;
    for _ in 0..2 {
        let job = worker.claims_build_of("a").await;
        job.fails(FailureKind::Infrastructure, "out of disk").await;
    }
    // A claim that does not wait gets nothing during the backoff, a waiting one gets the build.
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
    let waiting = worker.claims_once(ClaimId::new(), 30);
    let (job, ()) = tokio::join!(waiting, async { server.advance(BACKOFF) });
    let job = job.unwrap().expect("the build was not requeued");
    job.succeeds().await;
    server.expect_iteration("one", IterationStatus::Done).await;
}

#[tokio::test]
async fn alternates_between_namespaces() {
    let server = TestServer::start(unrelated_packages).await;
    let request = CreateNamespace {
        scope: Scope::Origin,
        name: Some(parse("large")),
        ..new_namespace(&["a/main", "b/main", "c/main"])
    };
    server.admin().create_namespace(&request).await.unwrap();
    server.namespace("small", &["d/main"]).await;
    let worker = server.worker("w").await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(worker.claims().await.claimed.namespace.to_string());
    }
    assert_eq!(order, ["large", "small", "large", "large"]);
}

#[tokio::test]
async fn dispatches_build_with_longest_chain_first() {
    let server = TestServer::start(|sources| {
        unrelated_packages(sources);
        chain(sources);
    })
    .await;
    server
        .namespace("mixed", &["a/main", "b/main", "libgreet/main"])
        .await;
    server.worker("w").await.claims_build_of("libgreet").await;
}

/// Pushes a library for two architectures, and its manual for any.
fn two_architectures(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1").arch(&["x86_64", "aarch64"]));
    let manual = Srcinfo::new("manual", "1.0-1")
        .arch(&["any"])
        .depends(&["libgreet"]);
    sources.push(&manual);
    let reader = Srcinfo::new("reader", "1.0-1").arch(&["x86_64", "aarch64"]);
    sources.push(&reader.depends(&["manual"]));
}

fn for_both() -> ServerOptions {
    ServerOptions {
        architectures: "x86_64,aarch64",
        ..Default::default()
    }
}

#[tokio::test]
async fn builds_any_packages_once_and_reuses_them() {
    let server = TestServer::start_with(for_both(), two_architectures).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let mut events = server.follow("bump").await;
    let (intel, arm) = (
        server.worker_for("intel", &["x86_64"]).await,
        server.worker_for("arm", &["aarch64"]).await,
    );
    let repository = |architecture| Repository::new(server.url(), "bump", "1", architecture);

    intel.builds("libgreet").await;
    intel.builds("manual").await;
    // The other architecture must not install it without its own library.
    assert_eq!(
        server.build_for("bump", "manual", "aarch64").await.status,
        BuildStatus::Blocked
    );
    arm.builds("libgreet").await;
    let reused = events.until("build.reused").await;
    assert_eq!(reused.architecture, Some(parse("aarch64")));
    let on_arm = server.build_for("bump", "manual", "aarch64").await;
    assert_eq!(on_arm.status, BuildStatus::Reused);
    let on_intel = server.build_for("bump", "manual", "x86_64").await;
    assert_eq!(on_arm.version, on_intel.version);
    let expected = [
        "libgreet-2.0-1".to_owned(),
        format!("manual-{}", on_arm.version),
    ];
    assert_eq!(repository("aarch64").lists().await, expected);
    let file = format!("manual-{}-any.pkg.tar.zst", on_arm.version);
    let copies = (
        repository("x86_64").bytes(&file).await,
        repository("aarch64").bytes(&file).await,
    );
    assert_eq!(copies.0, copies.1);

    arm.builds("reader").await;
    intel.builds("reader").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let kinds: Vec<_> = server.public().build(on_arm.id).await.unwrap().attempts;
    assert!(
        kinds.is_empty(),
        "nothing was built for the second architecture"
    );
}

#[tokio::test]
async fn ends_equally_with_other_order_of_architectures() {
    let server = TestServer::start_with(for_both(), two_architectures).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let mut events = server.follow("bump").await;
    let arm = server.worker_for("arm", &["aarch64"]).await;
    let intel = server.worker_for("intel", &["x86_64"]).await;
    arm.builds("libgreet").await;
    intel.builds("libgreet").await;
    intel.builds("manual").await;
    events.until("build.reused").await;
    arm.builds("reader").await;
    intel.builds("reader").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn failed_any_package_blocks_both_architectures() {
    let server = TestServer::start_with(for_both(), two_architectures).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let intel = server.worker_for("intel", &["x86_64"]).await;
    intel.builds("libgreet").await;
    intel
        .claims_build_of("manual")
        .await
        .fails(FailureKind::Package, "no")
        .await;
    server
        .worker_for("arm", &["aarch64"])
        .await
        .builds("libgreet")
        .await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
    let reader = server.build_for("bump", "reader", "aarch64").await;
    assert_eq!(reader.blocked_by, [parse("manual")]);
}

#[tokio::test]
async fn reports_architecture_without_workers() {
    let server = TestServer::start_with(for_both(), two_architectures).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let stalled = async || -> Vec<Option<String>> {
        let iteration = server.iteration("bump").await;
        iteration
            .architectures
            .into_iter()
            .map(|part| part.stalled)
            .collect()
    };
    let no_worker = |name: &str| Some(format!("no worker for {name}"));
    let mut before = stalled().await;
    before.sort_unstable();
    assert_eq!(before, [no_worker("aarch64"), no_worker("x86_64")]);
    server.worker("intel").await.builds("libgreet").await;
    let mut after = stalled().await;
    after.sort_unstable();
    assert_eq!(after, [None, no_worker("aarch64")]);
}

#[tokio::test]
async fn assigns_no_builds_of_other_architectures() {
    let server = TestServer::start_with(for_both(), unrelated_packages).await;
    server.namespace("one", &["a/main"]).await;
    let arm = server.worker_for("arm", &["aarch64"]).await;
    assert!(arm.claims_once(ClaimId::new(), 1).await.unwrap().is_none());
    let both = server.worker_for("both", &["aarch64", "x86_64"]).await;
    both.builds("a").await;
}

#[tokio::test]
async fn uses_last_stage_of_any_package_in_a_cycle_for_every_architecture() {
    let server = TestServer::start_with(for_both(), |sources| {
        let both = ["x86_64", "aarch64"];
        sources.push(&Srcinfo::new("root", "2-1").arch(&both));
        sources.push(
            &Srcinfo::new("shared", "1-1")
                .arch(&["any"])
                .depends(&["root"])
                .with("makedepends_x86_64", "user"),
        );
        sources.push(&Srcinfo::new("user", "1-1").arch(&both).depends(&["shared"]));
    })
    .await;
    let mut request = new_namespace(&["root/main"]);
    request.name = Some(parse("bump"));
    request.scope = Scope::All;
    server.admin().create_namespace(&request).await.unwrap();
    let (intel, arm) = (
        server.worker_for("intel", &["x86_64"]).await,
        server.worker_for("arm", &["aarch64"]).await,
    );
    let building = async |worker: &crate::support::FakeWorker, count: usize| {
        for _ in 0..count {
            worker.claims().await.succeeds().await;
        }
    };
    let counts = |architecture: &str| {
        let architecture = parse(architecture);
        let server = &server;
        async move {
            let iteration = server.iteration("bump").await;
            let builds = iteration.builds.into_iter();
            builds
                .filter(|build| build.architecture == architecture)
                .map(|build| (build.pkgbase.to_string(), build.stage))
                .collect::<Vec<_>>()
        }
    };
    let on_intel = counts("x86_64").await;
    assert!(on_intel.contains(&("shared".to_owned(), 2)), "{on_intel:?}");
    let on_arm = counts("aarch64").await;
    assert!(!on_arm.contains(&("shared".to_owned(), 2)), "{on_arm:?}");
    // Everything except the shared package.
    building(&intel, on_intel.len()).await;
    building(&arm, on_arm.len() - 1).await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let lists = |architecture| Repository::new(server.url(), "bump", "1", architecture);
    let is_shared = |entries: Vec<String>| {
        let mut entries = entries.into_iter();
        entries.find(|entry| entry.starts_with("shared-"))
    };
    let intel = is_shared(lists("x86_64").lists().await);
    assert_eq!(intel, is_shared(lists("aarch64").lists().await));
    assert_eq!(intel.as_deref(), Some("shared-1-1.2"));
}
