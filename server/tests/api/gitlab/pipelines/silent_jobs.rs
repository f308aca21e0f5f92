//! Jobs that end without having claimed their build: only their logs in GitLab contain the reason.

use std::path::Path;

use buildbtw_fake_gitlab::{Fault, On, Status, Times};
use buildbtw_model::{BuildStatus, FailureKind, IterationStatus, PermissionDenied};

use super::{Forge, Runner, build_that_is, ends_as, packages};
use crate::support::{TestServer, eventually};

/// What the executor reports about a program that its user cannot run.
fn denied() -> PermissionDenied {
    let path = Path::new("/root/x/buildbtw-executor");
    PermissionDenied::new(path, "its folder /root is not accessible to nobody")
}

async fn started(forge: &Forge) -> (TestServer, Runner<'_>) {
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    (server, job)
}

/// Formats lines like a log of gitlab-runner.
fn stamped(lines: &[&str]) -> String {
    let stamp = |line: &&str| format!("2026-08-22T00:44:03.123456Z 00O {line}\n");
    lines.iter().map(stamp).collect()
}

/// Asserts that the only attempt failed permanently with the message from the log.
async fn expect_failed_once(forge: &Forge, server: &TestServer, reason: &str) {
    let build = build_that_is(server, "libgreet", BuildStatus::Failed).await;
    let message = build.message.unwrap();
    assert!(message.contains(reason), "{message}");
    assert!(!message.contains('\u{1b}'), "{message}");
    ends_as(server, IterationStatus::Failed).await;
    let attempts = server.public().build(build.id).await.unwrap().attempts;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0].failure, Some(FailureKind::Infrastructure));
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn fails_build_once_and_names_executor_that_cannot_be_run() {
    let denied = denied();
    let (line, text) = (denied.to_line().unwrap(), denied.to_string());
    let logs = [
        (&*line, &*text),
        (
            "ERROR: Job failed (system failure): fork/exec /root/x: permission denied",
            "permission denied: /root/x (the user of gitlab-runner",
        ),
        (
            "ERROR: Job failed (system failure): fork/exec /usr/x: no such file or directory",
            "no such file or directory: /usr/x (",
        ),
    ];
    for (line, reason) in logs {
        let forge = Forge::that_builds(&packages()).await;
        let (server, job) = started(&forge).await;
        let line = format!("section_start:1:prepare\r\u{1b}[0K\u{1b}[31;1m{line}\u{1b}[0;m");
        // Longer than the part that is kept.
        let log = format!("{}{}", "x".repeat(100_000), stamped(&["", &line, "over"]));
        forge.gitlab.print(job.job, &log).unwrap();
        job.ends(Status::Failed, Some("runner_system_failure"));
        expect_failed_once(&forge, &server, reason).await;
    }
}

#[tokio::test]
async fn fails_build_once_with_reason_given_to_rejected_job() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let log = stamped(&[
        "\u{1b}[1;31mERROR: the server refused to assign the attempt to this job: it runs on `other`",
        "only the job of the pipeline that buildbtw created may report it\u{1b}[0m",
        "\u{1b}[31;1mERROR: Job failed: exit status 1\u{1b}[0;m",
    ]);
    forge.gitlab.print(job.job, &log).unwrap();
    job.ends(Status::Failed, Some("script_failure"));
    let reason = "it runs on `other` only the job of the pipeline";
    expect_failed_once(&forge, &server, reason).await;
}

#[tokio::test]
async fn builds_on_gitlab_retry_of_rejected_job() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    job.ends(Status::Failed, Some("script_failure"));
    expect_failed_once(&forge, &server, "failed before it requested its build").await;
    forge.gitlab.retry_job(job.job).unwrap();
    forge.runs(&server, job.pipeline).succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn tolerates_unreadable_job_log() {
    for (reason, pipelines) in [("script_failure", 1), ("runner_system_failure", 2)] {
        let forge = Forge::that_builds(&packages()).await;
        let (server, job) = started(&forge).await;
        forge
            .gitlab
            .print(job.job, &denied().to_line().unwrap())
            .unwrap();
        let project = forge.project("libgreet");
        let path = format!("/api/v4/projects/{project}/jobs/{}/trace", job.job);
        let forbidden = Fault::Respond {
            status: 403,
            headers: vec![],
            body: r#"{"message":"403 Forbidden"}"#.into(),
        };
        let on = On::Path(path);
        forge.gitlab.faults().add(on, Times::Always, forbidden);
        job.ends(Status::Failed, Some(reason));
        if pipelines == 1 {
            expect_failed_once(&forge, &server, "failed before it requested").await;
        } else {
            forge.job(&server, "libgreet", 2).await.succeeds().await;
            build_that_is(&server, "libgreet", BuildStatus::Built).await;
        }
    }
}

#[tokio::test]
async fn ignores_log_of_job_that_claimed_its_build() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    job.claim_as_executor().await.starts().await;
    // A package may print any text.
    forge
        .gitlab
        .print(job.job, &denied().to_line().unwrap())
        .unwrap();
    job.ends(Status::Failed, Some("script_failure"));
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn manually_created_pipeline_does_not_end_named_attempt() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let project = forge.project("libgreet");
    let inputs = forge.gitlab.pipeline(job.pipeline).unwrap().inputs;
    let unrelated = forge
        .gitlab
        .create_pipeline(project, "main", &[], &inputs.into())
        .unwrap();
    let other = forge.runs(&server, unrelated);
    forge
        .gitlab
        .print(other.job, &denied().to_line().unwrap())
        .unwrap();
    forge.gitlab.clear_requests();
    other.ends(Status::Failed, Some("script_failure"));
    eventually("a poll of the project's pipelines", async || {
        let requests = forge.gitlab.requests();
        let polls = requests
            .iter()
            .filter(|request| request.path == "/api/graphql");
        (polls.count() >= 1).then_some(())
    })
    .await;
    job.succeeds().await;
    let build = build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let attempts = server.public().build(build.id).await.unwrap().attempts;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
}
