//! The list of workers, draining them, and which builds they get.

use std::time::Duration;

use buildbtw_model::api::{
    ClaimRequest, DrainWorker, ProblemKind, WorkerLoad, WorkerMachine, WorkerSummary,
};
use buildbtw_model::{BuildStatus, ClaimId, FailureKind, IterationStatus, WorkerStatus};
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::support::{
    FakeWorker, Job, ServerOptions, Srcinfo, TestServer, eventually, expect_problem, parse, refusal,
};

async fn server_with(flags: &[&str]) -> TestServer {
    let options = ServerOptions {
        extra: flags.iter().map(|&flag| flag.to_owned()).collect(),
        ..ServerOptions::default()
    };
    TestServer::start_with(options, |sources| {
        for pkgbase in ["libgreet", "greet", "chromium"] {
            sources.push(&Srcinfo::new(pkgbase, "1.0-1"));
        }
    })
    .await
}

async fn server() -> TestServer {
    server_with(&[]).await
}

/// Returns a claim of a worker with these tags, whose builds may use this much memory.
fn claim_of(
    worker: &FakeWorker,
    tags: &[&str],
    build_memory_mib: u32,
    wait_s: u32,
) -> ClaimRequest {
    ClaimRequest {
        machine: Some(WorkerMachine {
            version: "0.1.0".into(),
            tags: tags.iter().map(|tag| parse(tag)).collect(),
            cores: 8,
            memory_mib: 65_536,
            build_memory_mib,
        }),
        load: Some(WorkerLoad {
            load: 1.5,
            disk_free_bytes: 1 << 30,
            disk_total_bytes: 1 << 31,
        }),
        ..worker.request(ClaimId::new(), wait_s)
    }
}

/// Claims a build as such a worker, or nothing without waiting.
async fn claimed(worker: &FakeWorker, tags: &[&str], memory: u32) -> Option<Job> {
    let claimed = worker
        .client
        .claim(&claim_of(worker, tags, memory, 0))
        .await;
    claimed.unwrap().map(|claimed| worker.job(claimed))
}

async fn listed(server: &TestServer) -> Vec<WorkerSummary> {
    server.public().workers().await.unwrap()
}

async fn status(server: &TestServer, name: &str) -> WorkerStatus {
    let workers = listed(server).await;
    let found = workers.iter().find(|worker| worker.name.as_str() == name);
    found.unwrap().status
}

#[tokio::test]
async fn lists_what_workers_are_and_do() {
    let server = server().await;
    let (one, two) = (server.worker("one").await, server.worker("two").await);
    assert!(claimed(&one, &["big"], 8_192).await.is_none());
    assert!(two.claims_once(ClaimId::new(), 0).await.unwrap().is_none());
    server.namespace("bump", &["libgreet/main"]).await;
    let job = claimed(&one, &["big"], 8_192).await.unwrap();
    let load = WorkerLoad {
        load: 7.25,
        disk_free_bytes: 5,
        disk_total_bytes: 9,
    };
    let beat = server.client(Some(one.token.clone()));
    beat.heartbeat_with(job.claimed.attempt, Some(&load))
        .await
        .unwrap();
    let workers = listed(&server).await;
    let [first, second] = &workers[..] else {
        panic!("{workers:?}");
    };
    assert_eq!(
        (first.name.as_str(), first.status),
        ("one", WorkerStatus::Building)
    );
    assert_eq!(first.builds[0].pkgbase.as_str(), "libgreet");
    let machine = first.machine.as_ref().unwrap();
    assert_eq!((machine.cores, machine.tags[0].as_str()), (8, "big"));
    assert_eq!(first.load, Some(load));
    // It is of a version that says nothing of its machine.
    assert_eq!(
        (second.name.as_str(), second.status),
        ("two", WorkerStatus::Idle)
    );
    assert!(second.machine.is_none());
    server.advance(Duration::from_secs(180));
    assert_eq!(status(&server, "two").await, WorkerStatus::LostContact);
}

#[tokio::test]
async fn list_has_pages_and_tags() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        let worker = server.worker(name).await;
        assert!(
            worker
                .claims_once(ClaimId::new(), 0)
                .await
                .unwrap()
                .is_none()
        );
    }
    let path = "/api/v1/workers?limit=2";
    let response = server.request(Method::GET, path).send().await.unwrap();
    let tag = response.headers()[header::ETAG].clone();
    let page: Value = response.json().await.unwrap();
    let again = server
        .request(Method::GET, path)
        .header(header::IF_NONE_MATCH, tag);
    assert_eq!(
        again.send().await.unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    let next = format!("{path}&cursor={}", page["next"].as_str().unwrap());
    let page = server.request(Method::GET, &next).send().await.unwrap();
    let page: Value = page.json().await.unwrap();
    assert_eq!(page["items"][0]["name"], "c");
    assert!(page.get("next").is_none());
}

#[tokio::test]
async fn drained_worker_finishes_its_build_and_gets_no_other_until_it_is_resumed() {
    let mut server = server().await;
    server.namespace("one", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    let (admin, name) = (server.admin(), parse("w"));
    let request = DrainWorker {
        reason: Some("new memory".into()),
    };
    let drained = admin.drain_worker(&name, &request).await.unwrap();
    assert_eq!(drained.status, WorkerStatus::Draining);
    assert_eq!(drained.drain_reason.as_deref(), Some("new memory"));
    assert!(drained.drained_by.is_some());
    job.succeeds().await;
    server.namespace("two", &["greet/main"]).await;
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(status(&server, "w").await, WorkerStatus::Drained);
    let iteration = server.iteration("two").await;
    let stalled = iteration.architectures[0].stalled.as_deref();
    assert_eq!(stalled, Some("no worker for x86_64"));

    server.stop().await;
    server.start_again().await;
    let worker = worker.at_server(server.url());
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
    let waiting = worker.claims_once(ClaimId::new(), 30);
    let admin = server.admin();
    let (job, resumed) = tokio::join!(waiting, async {
        eventually("the claim waits", async || {
            (status(&server, "w").await == WorkerStatus::Drained).then_some(())
        })
        .await;
        admin.resume_worker(&name).await
    });
    assert!(resumed.unwrap().drained_at.is_none());
    let job = job.unwrap().expect("the resumed worker got nothing");
    assert_eq!(job.claimed.pkgbase.as_str(), "greet");
}

#[tokio::test]
async fn another_worker_gets_the_builds_that_a_drained_one_waits_for() {
    let server = server().await;
    let (one, two) = (server.worker("one").await, server.worker("two").await);
    assert!(one.claims_once(ClaimId::new(), 0).await.unwrap().is_none());
    let drain = DrainWorker::default();
    server
        .admin()
        .drain_worker(&parse("one"), &drain)
        .await
        .unwrap();
    let waiting = one.claims_once(ClaimId::new(), 2);
    let (first, second) = tokio::join!(waiting, async {
        server.namespace("bump", &["libgreet/main"]).await;
        two.claims().await
    });
    assert!(first.unwrap().is_none());
    assert_eq!(second.claimed.pkgbase.as_str(), "libgreet");
}

#[tokio::test]
async fn refuses_to_drain_unknown_workers_and_to_resume_those_that_are_not_drained() {
    let server = server().await;
    let (admin, name) = (server.admin(), parse("nosuch"));
    let problem = refusal(admin.drain_worker(&name, &DrainWorker::default()).await);
    assert_eq!(problem.title, "worker `nosuch` not found");
    assert_eq!(
        problem.hint.as_deref(),
        Some("`buildbtw workers` lists all workers")
    );
    let problem = refusal(admin.resume_worker(&name).await);
    assert_eq!(problem.kind, ProblemKind::NotFound);
    let worker = server.worker("w").await;
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
    let problem = refusal(admin.resume_worker(&parse("w")).await);
    assert_eq!(problem.kind, ProblemKind::Conflict);
    assert!(problem.hint.is_some());
}

#[tokio::test]
async fn tells_a_worker_that_the_server_builds_nothing_for_its_architectures() {
    let server = server().await;
    let worker = server.worker_for("w", &["riscv64"]).await;
    let problem = refusal(worker.claims_once(ClaimId::new(), 0).await);
    assert_eq!(problem.kind, ProblemKind::UnknownArchitecture);
    let expected = "this server builds for x86_64, and this worker only for riscv64";
    assert_eq!(problem.title, expected);
    assert!(problem.hint.unwrap().contains("--architectures x86_64"));
    let worker = server.worker_for("w", &["riscv64", "x86_64"]).await;
    assert!(
        worker
            .claims_once(ClaimId::new(), 0)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn tells_programs_without_a_common_version_of_the_api_which_one_is_too_old() {
    let server = server().await;
    let get = |version: Option<&'static str>| {
        let mut request = server.request(Method::GET, "/api/v1/namespaces");
        if let Some(version) = version {
            request = request.header("buildbtw-api", version);
        }
        request.send()
    };
    let response = get(None).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["buildbtw-api"], "1-2");
    assert_eq!(get(Some("2-9")).await.unwrap().status(), StatusCode::OK);
    for (version, expected) in [
        ("0", "this program is too old for this server"),
        ("7-9", "this server is too old for this program"),
    ] {
        let response = get(Some(version)).await.unwrap();
        assert_eq!(response.headers()["buildbtw-api"], "1-2");
        let problem = expect_problem(response, 400, ProblemKind::UnsupportedVersion).await;
        assert!(problem.title.starts_with(expected), "{problem:?}");
        assert!(problem.hint.is_some());
    }
    let response = get(Some("x")).await.unwrap();
    expect_problem(response, 400, ProblemKind::InvalidRequest).await;
}

#[tokio::test]
async fn builds_that_need_a_tag_go_to_workers_that_have_it() {
    let server = server_with(&["--build-tag", "chromium*=big"]).await;
    server.namespace("web", &["chromium/main"]).await;
    let (small, big) = (server.worker("small").await, server.worker("big").await);
    assert!(claimed(&small, &["gpu"], 8_192).await.is_none());
    let iteration = server.iteration("web").await;
    let stalled = iteration.architectures[0].stalled.as_deref();
    assert_eq!(stalled, Some("no worker for x86_64 with the tag `big`"));
    // Those that need none do not wait behind it.
    server.namespace("other", &["greet/main"]).await;
    let other = claimed(&small, &["gpu"], 8_192).await.unwrap();
    assert_eq!(other.claimed.pkgbase.as_str(), "greet");
    let job = claimed(&big, &["big"], 8_192).await.unwrap();
    assert_eq!(job.claimed.pkgbase.as_str(), "chromium");
    let iteration = server.iteration("web").await;
    assert_eq!(iteration.architectures[0].stalled, None);
}

#[tokio::test]
async fn build_that_was_killed_for_memory_goes_to_a_worker_with_more() {
    let server = server().await;
    let (small, large) = (server.worker("small").await, server.worker("large").await);
    // Seen, so that there is a worker with more.
    assert!(claimed(&large, &[], 32_768).await.is_none());
    server.namespace("web", &["chromium/main"]).await;
    let job = claimed(&small, &[], 8_192).await.unwrap();
    job.fails(FailureKind::Memory, "the memory limit was exceeded")
        .await;
    let build = server.build("web", "chromium").await;
    assert_eq!(build.status, BuildStatus::Ready);
    assert!(build.message.unwrap().contains("more than 8192 MiB"));
    assert!(claimed(&small, &[], 8_192).await.is_none());
    let job = claimed(&large, &[], 32_768).await.unwrap();
    job.succeeds().await;
    server.expect_iteration("web", IterationStatus::Done).await;
    // It is known of the package from then on.
    server.namespace("again", &["chromium/main"]).await;
    let name = parse("again");
    let request = buildbtw_model::api::CreateIteration::default();
    server
        .admin()
        .create_iteration(&name, request)
        .await
        .unwrap();
    let need = "select count(*) from memory_need where exceeded_mib = 8192";
    assert_eq!(server.number(need).await, 1);
}

#[tokio::test]
async fn build_that_no_worker_has_enough_memory_for_fails_with_a_hint() {
    let server = server().await;
    let worker = server.worker("w").await;
    server.namespace("web", &["chromium/main"]).await;
    let job = claimed(&worker, &[], 8_192).await.unwrap();
    job.fails(FailureKind::Memory, "the memory limit was exceeded")
        .await;
    let build = server.build("web", "chromium").await;
    assert_eq!(build.status, BuildStatus::Failed);
    let hint = build.hint.unwrap();
    assert!(hint.contains("--limit-memory-mib above 8192"), "{hint}");
}

#[tokio::test]
async fn page_shows_workers() {
    let server = server().await;
    let empty = server
        .request(Method::GET, "/workers")
        .send()
        .await
        .unwrap();
    assert!(empty.text().await.unwrap().contains("No workers yet"));
    let worker = server.worker("w1").await;
    assert!(claimed(&worker, &["big"], 8_192).await.is_none());
    let drain = DrainWorker::default();
    server
        .admin()
        .drain_worker(&parse("w1"), &drain)
        .await
        .unwrap();
    let page = server
        .request(Method::GET, "/workers")
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    for text in ["w1", "drained", "big", "x86_64", "0.1.0"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}
