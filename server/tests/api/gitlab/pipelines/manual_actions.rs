//! Actions of users in GitLab are followed, and their actions here reach GitLab.

use buildbtw_fake_gitlab::Status;
use buildbtw_model::api::{ProblemKind, RetryBuilds};
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind, IterationStatus};

use super::{Forge, Runner, SECRET, build_that_is, ends_as, packages};
use crate::support::{TestServer, eventually, failed, refusal};

async fn started(forge: &Forge) -> (TestServer, Runner<'_>) {
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    (server, job)
}

async fn status_is(forge: &Forge, job: &Runner<'_>, status: Status) {
    eventually("the pipeline's status", async || {
        let now = forge.gitlab.pipeline(job.pipeline).unwrap().status;
        (now == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn cancel_of_namespace_cancels_its_pipelines() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    server
        .admin()
        .cancel(&"bump".parse().unwrap())
        .await
        .unwrap();
    eventually("the end of the pipeline", async || {
        let now = forge.gitlab.pipeline(pipeline.id).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
    ends_as(&server, IterationStatus::Cancelled).await;

    server
        .admin()
        .resume(&"bump".parse().unwrap())
        .await
        .unwrap();
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn does_not_recreate_manually_cancelled_pipeline() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    job.ends(Status::Canceled, None);
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = build.message.unwrap();
    assert!(message.contains("cancelled in GitLab"), "{message}");
    ends_as(&server, IterationStatus::Failed).await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);

    let retry = RetryBuilds::default();
    server
        .admin()
        .retry_builds(&"bump".parse().unwrap(), &retry)
        .await
        .unwrap();
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn cancelled_job_ends_running_build() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let work = job.claim_as_executor().await;
    work.starts().await;
    forge.gitlab.cancel_pipeline(job.pipeline).unwrap();
    // The report of a stopped executor. It may come too late, since GitLab reports the same.
    let stopped = failed(
        FailureKind::Cancelled,
        "the job was stopped; its status in GitLab says why",
    );
    if work.reports(&stopped).await.is_err() {
        work.expect_reports_rejected().await;
    }
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn does_not_treat_stopped_runner_as_cancellation() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let work = job.claim_as_executor().await;
    work.fails(
        FailureKind::Cancelled,
        "the job was stopped; its status in GitLab says why",
    )
    .await;
    job.ends(Status::Failed, Some("runner_interrupted"));
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn does_not_recreate_deleted_pipeline() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-pipeline-seconds=1"]);
    let server = forge.server_with(options).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    // GitLab sends no webhook for this.
    forge.gitlab.delete_pipeline(pipeline.id).unwrap();
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    assert!(build.message.unwrap().contains("deleted in GitLab"));
}

#[tokio::test]
async fn manual_job_retry_creates_new_attempt() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let work = job.claim_as_executor().await;
    work.fails(FailureKind::Package, "error: no").await;
    job.ends(Status::Failed, Some("script_failure"));
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;

    forge.gitlab.retry_pipeline(job.pipeline).unwrap();
    let again = forge.runs(&server, job.pipeline);
    assert_ne!(again.job, job.job);
    let work = again.claim_as_executor().await;
    assert_ne!(work.claimed.attempt, again.attempt());
    work.succeeds().await;
    again.ends(Status::Success, None);
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    forge.job(&server, "greeter", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
}

#[tokio::test]
async fn restarted_job_takes_over_running_build() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let work = job.claim_as_executor().await;
    work.starts().await;
    // The runner died, and a user retries before the lease expires or the webhook arrives.
    forge.gitlab.webhooks().hold();
    job.ends(Status::Failed, Some("runner_system_failure"));
    forge.gitlab.retry_pipeline(job.pipeline).unwrap();
    let again = forge.runs(&server, job.pipeline);
    let second = again.claim_as_executor().await;
    work.expect_reports_rejected().await;
    second.succeeds().await;
    let id = server.build("bump", "libgreet").await.id;
    let attempts = server.public().build(id).await.unwrap().attempts;
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses[0], AttemptStatus::Succeeded, "{attempts:?}");
}

#[tokio::test]
async fn rejects_job_retry_after_build_was_built() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    job.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    forge.gitlab.retry_job(job.job).unwrap();
    let again = forge.runs(&server, job.pipeline);
    let problem = refusal(again.exchanges(&again.id_token(), SECRET).await);
    assert_eq!(problem.kind, ProblemKind::AttemptEnded, "{problem:?}");
    assert!(problem.title.contains("it is finished"), "{problem:?}");
}

#[tokio::test]
async fn rejects_manually_created_pipeline() {
    let forge = Forge::that_builds(&packages()).await;
    let (_server, job) = started(&forge).await;
    let project = forge.project("libgreet");
    let same = forge.gitlab.pipeline(job.pipeline).unwrap();
    let other = forge
        .gitlab
        .create_pipeline(
            project,
            "main",
            &[],
            &serde_json::Value::Object(same.inputs),
        )
        .unwrap();
    let runner = forge.runs(&_server, other);
    let problem = refusal(runner.exchanges(&runner.id_token(), SECRET).await);
    assert_eq!(problem.kind, ProblemKind::Forbidden, "{problem:?}");
    job.succeeds().await;
}

#[tokio::test]
async fn cancels_pipelines_of_deleted_namespace() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    let work = job.claim_as_executor().await;
    let admin = server.admin();
    admin
        .delete_namespace(&"bump".parse().unwrap())
        .await
        .unwrap();
    status_is(&forge, &job, Status::Canceled).await;
    let late = refusal(work.heartbeat().await);
    assert!(late.status == 401 || late.status == 404, "{late:?}");
}

#[tokio::test]
async fn new_iteration_cancels_unneeded_pipelines() {
    let forge = Forge::that_builds(&packages()).await;
    let (server, job) = started(&forge).await;
    forge.push(&super::Srcinfo::new("libgreet", "3.0-1"));
    status_is(&forge, &job, Status::Canceled).await;
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}
