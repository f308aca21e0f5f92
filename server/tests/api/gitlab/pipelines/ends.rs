//! GitLab decides how a job ended, regardless of what its executor reported first.

use std::time::Duration;

use buildbtw_fake_gitlab::{Fault, On, Status, Times};
use buildbtw_model::api::{AttemptSummary, ProblemKind};
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind, IterationStatus};
use jiff::SignedDuration;

use super::{Forge, Runner, SECRET, build_that_is, ends_as, packages};
use crate::support::{Job, ServerOptions, TestServer, eventually, failed, refusal, reported};

/// The report of an executor that its runner stopped.
const STOPPED: &str = "the job was stopped; its status in GitLab says why";

async fn running(forge: &Forge) -> (TestServer, Runner<'_>, Job) {
    running_with(forge, forge.building()).await
}

async fn running_with(forge: &Forge, options: ServerOptions) -> (TestServer, Runner<'_>, Job) {
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let work = job.claim_as_executor().await;
    work.starts().await;
    (server, job, work)
}

async fn attempts(server: &TestServer) -> Vec<AttemptSummary> {
    let id = server.build("bump", "libgreet").await.id;
    server.public().build(id).await.unwrap().attempts
}

async fn cancelled(forge: &Forge, job: &Runner<'_>) {
    eventually("the end of the pipeline", async || {
        let now = forge.gitlab.pipeline(job.pipeline).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
}

/// Asserts that the only attempt failed permanently because of GitLab's limit, and that the message
/// names it.
async fn expect_timeout(forge: &Forge, server: &TestServer, limit: &str) {
    let build = build_that_is(server, "libgreet", BuildStatus::Failed).await;
    let message = build.message.unwrap();
    assert!(message.contains(limit), "{message}");
    ends_as(server, IterationStatus::Failed).await;
    let attempts = attempts(server).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0].failure, Some(FailureKind::Timeout));
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn gitlab_timeout_overrides_earlier_stop_report() {
    for kind in [FailureKind::Cancelled, FailureKind::Infrastructure] {
        let forge = Forge::that_builds(&packages()).await;
        let (server, job, work) = running(&forge).await;
        work.fails(kind, STOPPED).await;
        // The build is neither decided nor dispatched again before GitLab reports the reason.
        let build = server.build("bump", "libgreet").await;
        assert_eq!(build.status, BuildStatus::Building, "{build:?}");
        // The timeout in the template.
        forge.gitlab.clock().advance(SignedDuration::from_hours(8));
        job.ends(Status::Failed, Some("job_execution_timeout"));
        expect_timeout(&forge, &server, "job timeout of 8 h (28800 s)").await;
    }
}

#[tokio::test]
async fn late_report_does_not_override_gitlab_timeout() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    job.ends(Status::Failed, Some("job_execution_server_timeout"));
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let late = refusal(work.reports(&failed(FailureKind::Cancelled, STOPPED)).await);
    assert_eq!(late.kind, ProblemKind::AttemptEnded, "{late:?}");
    expect_timeout(&forge, &server, "RUNNER_SCRIPT_TIMEOUT").await;
}

#[tokio::test]
async fn detects_timeout_without_webhook_and_after_crash() {
    let forge = Forge::that_builds(&packages()).await;
    let mut server = forge.server_with(forge.building()).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let work = job.claim_as_executor().await;
    work.fails(FailureKind::Cancelled, STOPPED).await;
    server.crash().await;
    job.ends(Status::Failed, Some("job_execution_timeout"));
    server.start_again().await;
    expect_timeout(&forge, &server, "RUNNER_SCRIPT_TIMEOUT is shorter").await;
}

#[tokio::test]
async fn waits_for_failure_reason_during_outage() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-job-end-seconds=1"]);
    let (server, job, work) = running_with(&forge, options).await;
    forge.gitlab.faults().set_down(true);
    work.fails(FailureKind::Cancelled, STOPPED).await;
    eventually("a rejected request", async || {
        let architecture = server.iteration("bump").await.architectures.remove(0);
        architecture.stalled
    })
    .await;
    job.ends(Status::Failed, Some("job_execution_timeout"));
    let build = server.build("bump", "libgreet").await;
    assert_eq!(build.status, BuildStatus::Building, "{build:?}");
    forge.gitlab.faults().set_down(false);
    expect_timeout(&forge, &server, "job timeout").await;
}

#[tokio::test]
async fn accepts_only_the_same_report_while_and_after_it_waits() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    let stopped = failed(FailureKind::Cancelled, STOPPED);
    work.reports(&stopped).await.unwrap();
    let again = work.reports(&stopped).await.unwrap();
    assert_eq!(again.status, AttemptStatus::Failed);
    let packages = work.makes_and_uploads().await;
    for other in [
        reported(&packages),
        failed(FailureKind::Infrastructure, "another"),
        failed(FailureKind::Package, "another"),
    ] {
        let problem = refusal(work.reports(&other).await);
        assert_eq!(problem.kind, ProblemKind::AttemptEnded, "{problem:?}");
    }
    assert_eq!(
        refusal(work.heartbeat().await).kind,
        ProblemKind::AttemptEnded
    );
    job.ends(Status::Failed, Some("job_execution_timeout"));
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    assert!(work.reports(&stopped).await.is_ok());
}

#[tokio::test]
async fn retries_stop_not_caused_by_a_limit() {
    let reasons = [
        "runner_interrupted",
        "runner_system_failure",
        "script_failure",
        "no_updates_running",
    ];
    let forge = Forge::that_builds(&packages()).await;
    let (server, first, work) = running(&forge).await;
    let (mut job, mut work) = (first, work);
    for (number, reason) in reasons.into_iter().enumerate() {
        work.fails(FailureKind::Cancelled, STOPPED).await;
        job.ends(Status::Failed, Some(reason));
        job = forge.job(&server, "libgreet", number + 2).await;
        work = job.claim_as_executor().await;
    }
    work.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    for attempt in &attempts(&server).await[1..] {
        assert_eq!(attempt.failure, Some(FailureKind::Infrastructure));
    }
}

#[tokio::test]
async fn keeps_host_failure_reported_by_a_job() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    work.fails(FailureKind::Infrastructure, "no space left on device")
        .await;
    job.ends(Status::Failed, Some("runner_system_failure"));
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let attempts = attempts(&server).await;
    let message = attempts[1].message.as_deref();
    assert_eq!(message, Some("no space left on device"));
}

#[tokio::test]
async fn bounds_wait_for_job_that_gitlab_shows_as_running() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-job-end-seconds=1"]);
    let (server, job, work) = running_with(&forge, options).await;
    // The runner was killed: GitLab would wait for it for an hour.
    work.fails(FailureKind::Cancelled, STOPPED).await;
    cancelled(&forge, &job).await;
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn reports_only_cancellation_for_build_cancelled_in_gitlab() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    work.fails(
        FailureKind::Cancelled,
        "it was cancelled, ran out of time, or its runner stopped",
    )
    .await;
    forge.gitlab.cancel_job(job.job).unwrap();
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = build.message.unwrap();
    assert!(message.contains("cancelled in GitLab"), "{message}");
    assert!(!message.contains("ran out of time"), "{message}");
    let attempts = attempts(&server).await;
    assert_eq!(attempts[0].failure, Some(FailureKind::Cancelled));
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn appends_end_reason_to_log() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    work.logs(0, "compiling").await.unwrap();
    work.fails(FailureKind::Cancelled, STOPPED).await;
    job.ends(Status::Failed, Some("job_execution_timeout"));
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let attempt = attempts(&server).await.remove(0);
    let path = format!("/api/v1/attempts/{}/log", attempt.id);
    let path = format!("{path}?follow=true");
    let response = server.request(reqwest::Method::GET, &path).send().await;
    let text = response.unwrap().text().await.unwrap();
    let why = attempt.message.unwrap();
    assert!(why.contains("RUNNER_SCRIPT_TIMEOUT"), "{why}");
    assert_eq!(text, format!("compiling\n==> buildbtw: {why}\n"));
}

#[tokio::test]
async fn decides_expired_lease_by_job_status() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_with(forge.building()).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    job.claim_as_executor().await.starts().await;
    // The executor could not report, and no webhook arrived.
    job.ends(Status::Failed, Some("job_execution_timeout"));
    server.expire_leases();
    expect_timeout(&forge, &server, "job timeout").await;
}

#[tokio::test]
async fn cancels_job_that_never_claims_and_redispatches_build() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-exchange-seconds=60"]);
    let mut server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    eventually("the running pipeline", async || {
        let build = server.build("bump", "libgreet").await;
        let message = build.message.unwrap_or_default();
        message.ends_with("is running").then_some(())
    })
    .await;
    // Its runner was killed; a minute later the server restarts.
    server.crash().await;
    forge.gitlab.clock().advance(SignedDuration::from_secs(61));
    server.advance(Duration::from_secs(61));
    server.start_again().await;
    forge.hook(&server, true);
    cancelled(&forge, &job).await;
    let next = forge.job(&server, "libgreet", 2).await;
    let late = Runner {
        url: server.url().to_owned(),
        ..job
    };
    let problem = refusal(late.exchanges(&late.id_token(), SECRET).await);
    assert_eq!(problem.kind, ProblemKind::AttemptEnded, "{problem:?}");
    next.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let attempts = attempts(&server).await;
    assert_eq!(attempts[1].status, AttemptStatus::Lost);
    let message = attempts[1].message.clone().unwrap();
    assert!(
        message.contains("without asking for its build"),
        "{message}"
    );
}

#[tokio::test]
async fn distinguishes_pending_job_from_lost_runner() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-exchange-seconds=1"]);
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    // A commit status of another program makes the pipeline run; its job is still pending.
    let project = forge.project("libgreet");
    let commit = forge.gitlab.head(project, None).unwrap().unwrap();
    let url = format!(
        "{}/api/v4/projects/{project}/statuses/{commit}",
        forge.gitlab.url()
    );
    let status = serde_json::json!({"state": "running", "name": "lint", "ref": "main"});
    let client = reqwest::Client::new();
    let request = client.post(url).bearer_auth(&forge.token).json(&status);
    assert!(request.send().await.unwrap().status().is_success());
    // With GitLab's clock stopped, the job has just started, however slow this machine is.
    forge.gitlab.clock().freeze();
    forge.gitlab.clear_requests();
    eventually("two requests for its job", async || {
        let requests = forge.gitlab.requests();
        let path = format!("/pipelines/{}/jobs", pipeline.id);
        let requests = requests
            .iter()
            .filter(|request| request.path.ends_with(&path));
        (requests.count() >= 2).then_some(())
    })
    .await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
    forge.runs(&server, pipeline.id).succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn reports_unknown_attempt_to_job() {
    let forge = Forge::that_builds(&packages()).await;
    let (_server, job, _work) = running(&forge).await;
    let made_up = buildbtw_model::AttemptId::new();
    let request = buildbtw_model::api::ExchangeIdToken {
        id_token: job.id_token(),
        token: SECRET.to_owned(),
        worker: "builder-1".parse().unwrap(),
    };
    let client = buildbtw_model::client::Client::new(&job.url, None).unwrap();
    let problem = refusal(client.exchange_id_token(made_up, &request).await);
    assert_eq!((problem.status, problem.kind), (404, ProblemKind::NotFound));
    assert!(problem.title.contains(&made_up.to_string()), "{problem:?}");
    assert!(problem.hint.unwrap().contains("created by hand"));
}

#[tokio::test]
async fn bounds_wait_for_project_gitlab_refuses_to_show() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-job-end-seconds=1"]);
    let (server, job, work) = running_with(&forge, options).await;
    let forbidden = Fault::Respond {
        status: 403,
        headers: vec![],
        body: r#"{"message":"403 Forbidden"}"#.into(),
    };
    let project = forge.project("libgreet");
    let path = format!("/api/v4/projects/{project}/pipelines/{}", job.pipeline);
    let on = On::Path(path);
    forge.gitlab.faults().add(on, Times::Always, forbidden);
    work.fails(FailureKind::Cancelled, STOPPED).await;
    forge.job(&server, "libgreet", 2).await;
}

#[tokio::test]
async fn waits_for_after_script_of_runner() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    work.fails(FailureKind::Cancelled, STOPPED).await;
    // A job that reached RUNNER_SCRIPT_TIMEOUT may take this long to end.
    forge.gitlab.clock().advance(SignedDuration::from_secs(390));
    server.advance(Duration::from_secs(390));
    forge.gitlab.clear_requests();
    eventually("two requests for its job", async || {
        let requests = forge.gitlab.requests();
        let path = format!("/pipelines/{}/jobs", job.pipeline);
        let requests = requests
            .iter()
            .filter(|request| request.path.ends_with(&path));
        (requests.count() >= 2).then_some(())
    })
    .await;
    let build = server.build("bump", "libgreet").await;
    assert_eq!(build.status, BuildStatus::Building, "{build:?}");
    job.ends(Status::Failed, Some("job_execution_timeout"));
    expect_timeout(&forge, &server, "RUNNER_SCRIPT_TIMEOUT is shorter").await;
}

#[tokio::test]
async fn waits_less_for_host_failure_than_for_stop() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job, work) = running(&forge).await;
    work.fails(FailureKind::Infrastructure, "no space left on device")
        .await;
    server.advance(Duration::from_secs(16));
    cancelled(&forge, &job).await;
    forge.job(&server, "libgreet", 2).await;
}
