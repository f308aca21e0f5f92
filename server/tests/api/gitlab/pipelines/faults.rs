//! GitLab rejects requests, is slow or unreachable, or loses responses; the server is killed between requests.

use buildbtw_fake_gitlab::{Fault, On, RuleId, Status, Times, VariablesRole};
use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind, IterationStatus};

use super::{Forge, Srcinfo, build_that_is, ends_as, packages};
use crate::support::eventually;

impl Forge {
    /// Rejects the creation of pipelines with this response.
    pub(super) fn reject_creation(&self) -> RuleId {
        let unavailable = Fault::status(429);
        self.gitlab
            .faults()
            .add(On::PipelineCreation, Times::Always, unavailable)
    }

    /// Sets the status of a package's commit as another program does, for which GitLab creates a pipeline.
    async fn external_status(&self, pkgbase: &str, name: &str) {
        let project = self.project(pkgbase);
        let commit = self.gitlab.head(project, None).unwrap().unwrap();
        let url = format!(
            "{}/api/v4/projects/{project}/statuses/{commit}",
            self.gitlab.url()
        );
        let status = serde_json::json!({"state": "failed", "name": name, "ref": "main"});
        let client = reqwest::Client::new();
        let request = client.post(url).bearer_auth(&self.token).json(&status);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{:?}",
            response.text().await
        );
    }

    fn on_creation(&self, times: u32, fault: Fault) {
        let faults = self.gitlab.faults();
        faults.add(On::PipelineCreation, Times::Next(times), fault);
    }
}

#[tokio::test]
async fn lost_response_creates_no_second_pipeline() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    forge.on_creation(1, Fault::LoseResponse);
    server.namespace("bump", &["libgreet/main"]).await;
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    forge.job(&server, "greeter", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn repeats_request_that_never_arrived() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    forge.on_creation(1, Fault::DropBeforeResponse);
    forge.on_creation(1, Fault::status(502));
    server.namespace("bump", &["libgreet/main"]).await;
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn killed_server_creates_no_second_pipeline() {
    let forge = Forge::that_builds(&packages()).await;
    let mut server = forge.server_that_builds().await;
    // Created, but the response is delayed.
    forge.gitlab.faults().add(
        On::PipelineCreation,
        Times::Next(1),
        Fault::SlowResponse(std::time::Duration::from_secs(3600)),
    );
    server.namespace("bump", &["libgreet/main"]).await;
    forge.pipeline("libgreet", 1).await;
    server.crash().await;
    server.start_again().await;
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
}

#[tokio::test]
async fn waits_out_burst_of_429() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    forge.on_creation(3, Fault::RateLimited { retry_after: 1 });
    server.namespace("bump", &["libgreet/main"]).await;
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

/// Asserts that the build of libgreet fails with GitLab's reason, and continues after a fix and a retry.
async fn expect_failure_until_fixed(
    cause: impl FnOnce(&Forge),
    fix: impl FnOnce(&Forge),
    why: &str,
) {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    cause(&forge);
    server.namespace("bump", &["libgreet/main"]).await;
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = format!(
        "{}; {}",
        build.message.unwrap(),
        build.hint.unwrap_or_default()
    );
    assert!(message.contains(why), "{message}");
    ends_as(&server, IterationStatus::Failed).await;
    fix(&forge);
    let admin = server.admin();
    admin
        .retry_builds(&"bump".parse().unwrap(), &Default::default())
        .await
        .unwrap();
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn reports_gitlab_refusals_with_remedy() {
    let set = |path: &'static str| {
        move |forge: &Forge| {
            let project = forge.project("libgreet");
            forge.gitlab.set_ci_config_path(project, path).unwrap();
        }
    };
    expect_failure_until_fixed(set(""), set(super::CI_CONFIG), "gitlab set-ci-config").await;

    let template = |text: &'static str| move |forge: &Forge| forge.change_template(text);
    let without_inputs = "build:\n  script: [echo]\n";
    expect_failure_until_fixed(template(without_inputs), template(super::TEMPLATE), "nput").await;
    let for_pushes = concat!(
        "spec:\n  inputs:\n    attempt: {}\n    server: {}\n    pkgbase: {}\n    architecture: {}\n",
        "---\nworkflow:\n  rules:\n    - if: $CI_PIPELINE_SOURCE == \"push\"\n",
        "build:\n  script: [echo]\n",
    );
    expect_failure_until_fixed(
        template(for_pushes),
        template(super::TEMPLATE),
        "use the template unchanged",
    )
    .await;
}

#[tokio::test]
async fn reports_role_without_permission_for_variables() {
    const TEMPLATE: &str = include_str!("../../../../../ci/buildbtw-variables.yml");
    let forge = Forge::that_builds(&packages()).await;
    forge.change_template(TEMPLATE);
    let project = forge.project("libgreet");
    let no_one: VariablesRole = "no_one_allowed".parse().unwrap();
    forge.gitlab.set_variables_role(project, no_one).unwrap();
    let options = forge.building_with(&["--gitlab-parameters=variables"]);
    let server = forge.server_with(options).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = format!(
        "{}; {}",
        build.message.unwrap(),
        build.hint.unwrap_or_default()
    );
    assert!(message.contains("minimum_override_role"), "{message}");
}

#[tokio::test]
async fn reports_missing_branch() {
    let forge = Forge::that_builds(&packages()).await;
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let server = forge.server_with(forge.building()).await;
    let rule = forge.reject_creation();
    server.namespace("bump", &["libgreet/next"]).await;
    let project = forge.project("libgreet");
    forge.gitlab.delete_branch(project, "next").unwrap();
    forge.gitlab.faults().remove(rule);
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = format!(
        "{}; {}",
        build.message.unwrap(),
        build.hint.unwrap_or_default()
    );
    assert!(message.contains("Reference not found"), "{message}");
    assert!(message.contains("new iteration"), "{message}");
}

#[tokio::test]
async fn retries_runner_failures() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let first = forge.job(&server, "libgreet", 1).await;
    first.ends(Status::Failed, Some("runner_system_failure"));
    let second = forge.job(&server, "libgreet", 2).await;
    second.ends(Status::Failed, Some("unknown_failure"));
    forge.job(&server, "libgreet", 3).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let id = server.build("bump", "libgreet").await.id;
    let attempts = server.public().build(id).await.unwrap().attempts;
    assert_eq!(attempts.len(), 3);
    let message = attempts[2].message.clone().unwrap();
    assert!(message.contains("runner could not run it"), "{message}");
    let message = attempts[1].message.clone().unwrap();
    assert!(message.contains("GitLab gives no reason"), "{message}");
}

#[tokio::test]
async fn does_not_retry_timed_out_job() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    job.claim_as_executor().await.starts().await;
    job.ends(Status::Failed, Some("job_execution_timeout"));
    build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let id = server.build("bump", "libgreet").await.id;
    let attempts = server.public().build(id).await.unwrap().attempts;
    assert_eq!(attempts[0].failure, Some(FailureKind::Timeout));
}

#[tokio::test]
async fn detects_dead_runner_by_lease() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    job.claim_as_executor().await.starts().await;
    server.expire_leases();
    // Its runner stays silent, and GitLab would wait for an hour.
    let next = forge.job(&server, "libgreet", 2).await;
    eventually("the end of the first pipeline", async || {
        let now = forge.gitlab.pipeline(job.pipeline).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
    next.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let id = server.build("bump", "libgreet").await.id;
    let attempts = server.public().build(id).await.unwrap().attempts;
    assert_eq!(attempts.last().unwrap().status, AttemptStatus::Lost);
}

#[tokio::test]
async fn reports_pipeline_without_build_as_configuration_failure() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    job.ends(Status::Success, None);
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    let message = build.message.unwrap();
    assert!(message.contains("without building anything"), "{message}");
}

#[tokio::test]
async fn continues_builds_during_outage() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let work = job.claim_as_executor().await;
    forge.gitlab.faults().set_down(true);
    // The job talks to the server, which does not need GitLab for that.
    work.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    let message = eventually("the failure", async || {
        let architecture = server.iteration("bump").await.architectures.remove(0);
        architecture.stalled
    })
    .await;
    assert!(message.starts_with("GitLab request"), "{message}");
    forge.gitlab.faults().set_down(false);
    job.ends(Status::Success, None);
    forge.job(&server, "greeter", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
    let architecture = server.iteration("bump").await.architectures.remove(0);
    assert_eq!(architecture.stalled, None);
}

#[tokio::test]
async fn ignores_commit_statuses_of_other_programs() {
    let forge = Forge::that_builds(&packages()).await;
    // GitLab creates a pipeline for it.
    forge.external_status("greeter", "lint").await;
    assert_eq!(forge.pipelines("greeter").len(), 1);
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    // GitLab adds the status to the newest pipeline of the commit, if there is one, which then fails.
    forge.external_status("libgreet", "lint").await;
    assert_eq!(forge.pipelines("libgreet").len(), 1);
    job.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
    forge.job(&server, "greeter", 2).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
}
