//! A disk below its reserve: what the server accepts, what it refuses, and how it says so.

use buildbtw_model::api::{CreateIteration, ProblemKind, ReadyResponse};
use buildbtw_model::{
    BackgroundTask, BuildStatus, ClaimId, FailureKind, IterationStatus, StallKind,
};
use reqwest::{Method, StatusCode, header};

use crate::support::{
    FakeWorker, Job, Srcinfo, TestServer, eventually, expect_problem, failed, new_namespace, parse,
    refusal, reported,
};

/// Starts a server where a worker builds `libgreet`, and `other` is ready.
async fn building() -> (TestServer, FakeWorker, Job) {
    let server = TestServer::start(|sources| {
        sources.push(&Srcinfo::new("libgreet", "2.0-1"));
        sources.push(&Srcinfo::new("other", "1.0-1"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    server.namespace("later", &["other/main"]).await;
    (server, worker, job)
}

/// Restarts the server with a reserve.
pub(crate) async fn restart(server: &mut TestServer, reserve_mib: u64) {
    server.stop().await;
    server.options.disk_reserve_mib = reserve_mib;
    server.start_again().await;
}

/// Returns a reserve that the disk of the data folder never has free: its size.
pub(crate) fn whole_disk_mib(server: &TestServer) -> u64 {
    let disk = rustix::fs::statvfs(server.data()).unwrap();
    (disk.f_blocks * disk.f_frsize) >> 20
}

/// Returns the message of the outage of the disk.
async fn outage(server: &TestServer) -> Option<String> {
    let outages = server.admin().outages().await.unwrap();
    let of_disk = outages
        .into_iter()
        .find(|outage| outage.task == BackgroundTask::DiskReserve);
    of_disk.map(|outage| outage.message)
}

#[tokio::test]
async fn accepts_nothing_new_below_reserve_and_resumes() {
    let (mut server, worker, job) = building().await;
    let reserve = whole_disk_mib(&server);
    restart(&mut server, reserve).await;
    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);

    let message = eventually("an outage", async || outage(&server).await).await;
    assert!(message.contains("below its reserve"), "{message}");

    let request = new_namespace(&["libgreet/main"]);
    let path = "/api/v1/namespaces";
    let request = server.admin_request(Method::POST, path).json(&request);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[header::RETRY_AFTER], "10");
    let problem = expect_problem(response, 503, ProblemKind::Unavailable).await;
    let detail = problem.detail.unwrap();
    assert!(detail.contains("are reserved"), "{detail}");
    assert!(problem.hint.unwrap().contains("delete a namespace"));

    let packages = job.create_packages().await;
    for refused in [
        refusal(job.uploads(&packages[0]).await),
        refusal(
            server
                .admin()
                .create_iteration(&parse("bump"), CreateIteration::default())
                .await,
        ),
    ] {
        assert_eq!(refused.kind, ProblemKind::Unavailable, "{refused:?}");
        assert!(refused.title.contains("reserve"), "{refused:?}");
    }
    let claimed = worker.claims_once(ClaimId::new(), 0).await.unwrap();
    assert!(claimed.is_none(), "{claimed:?}");
    let iteration = server.iteration("later").await;
    assert_eq!(iteration.builds[0].status, BuildStatus::Ready);
    assert_eq!(
        iteration.architectures[0].stalled_kind,
        Some(StallKind::DiskReserve)
    );
    let stalled = iteration.architectures[0].stalled.clone().unwrap();
    assert!(stalled.contains("below its reserve"), "{stalled}");
    let home = server.request(Method::GET, "/").send().await.unwrap();
    let home = home.text().await.unwrap();
    assert!(home.contains("below its reserve"), "{home}");
    let ready = server.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready: ReadyResponse = ready.json().await.unwrap();
    let failing: Vec<_> = ready.checks.iter().filter(|check| !check.ok).collect();
    assert_eq!(failing.len(), 1, "{failing:?}");
    assert_eq!(failing[0].name, "disk");
    let problem = failing[0].problem.as_deref().unwrap();
    assert!(problem.contains("below its reserve"), "{problem}");
    // What ends something is accepted.
    job.heartbeat().await.unwrap();
    job.logs(0, "almost done\n").await.unwrap();

    restart(&mut server, 1).await;
    assert_eq!(outage(&server).await, None);
    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);
    for package in &packages {
        job.uploads(package).await.unwrap();
    }
    job.reports(&reported(&packages)).await.unwrap();
    worker.builds("other").await;
    for name in ["bump", "later"] {
        server.expect_iteration(name, IterationStatus::Done).await;
    }
}

#[tokio::test]
async fn accepts_failures_and_deletions_below_reserve() {
    let (mut server, worker, job) = building().await;
    let reserve = whole_disk_mib(&server);
    restart(&mut server, reserve).await;
    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);
    let outcome = failed(FailureKind::Package, "it does not compile");
    job.reports(&outcome).await.unwrap();
    let build = server.build("bump", "libgreet").await;
    assert_eq!(build.status, BuildStatus::Failed);
    server.admin().cancel(&parse("later")).await.unwrap();
    server
        .admin()
        .delete_namespace(&parse("bump"))
        .await
        .unwrap();
}
