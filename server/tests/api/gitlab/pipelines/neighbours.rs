//! A build that fails, is slow, is hidden or cannot be placed does not block others.

use buildbtw_fake_gitlab::{Fault, On, PipelineId, RuleId, Status, Times};
use buildbtw_model::{BuildStatus, FailureKind, IterationStatus};

use super::{Forge, SECRET, Srcinfo, build_that_is, ends_as, packages};
use crate::support::{TestServer, eventually, refusal};

/// Returns packages `app0`, `app1` … that need nothing.
fn apps(count: usize) -> Vec<Srcinfo> {
    let name = |number| format!("app{number}");
    (0..count)
        .map(|number| Srcinfo::new(&name(number), "1-1"))
        .collect()
}

async fn request_rebuild(server: &TestServer, namespace: &str, origins: &[String]) {
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    server.namespace(namespace, &origins).await;
}

fn changesets(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("app{number}/main")).collect()
}

impl Forge {
    /// Gives this response to all requests for a path below a project.
    fn respond_for(&self, pkgbase: &str, below: &str, status: u16, body: &str) -> RuleId {
        let project = self.project(pkgbase);
        let response = Fault::Respond {
            status,
            headers: vec![],
            body: body.to_owned(),
        };
        let on = On::Path(format!("/api/v4/projects/{project}{below}"));
        self.gitlab.faults().add(on, Times::Always, response)
    }

    /// Cancels the job of a package's first pipeline, as a user does.
    fn cancel_job_of(&self, pkgbase: &str) -> PipelineId {
        let pipeline = self.pipelines(pkgbase)[0].id;
        let job = self.job_of(pipeline);
        self.gitlab.begin_job(job.id).unwrap();
        self.gitlab
            .finish_job(job.id, Status::Canceled, None)
            .unwrap();
        pipeline
    }
}

#[tokio::test]
async fn builds_without_pipeline_do_not_block_others() {
    let all = apps(8);
    let forge = Forge::that_builds(&all).await;
    let mut origins: Vec<String> = all[..7]
        .iter()
        .map(|app| {
            let commit = forge.push_to(&app.pkgbase, "next", &Srcinfo::new(&app.pkgbase, "2-1"));
            format!("{}/{commit}", app.pkgbase)
        })
        .collect();
    origins.push("app7/main".to_owned());
    let server = forge.server_that_builds().await;
    request_rebuild(&server, "bump", &origins).await;
    forge.job(&server, "app7", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Failed).await;
}

#[tokio::test]
async fn retries_build_cancelled_here_and_resumed() {
    let forge = Forge::that_builds(&packages()).await;
    // The executor is faster than the next poll of the pipeline.
    let server = forge.server_with(forge.building()).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let work = job.claim_as_executor().await;
    work.starts().await;
    let on = On::Operation("PipelineStatuses".into());
    let away = Fault::status(503);
    let unseen = forge.gitlab.faults().add(on, Times::Always, away);
    let name = "bump".parse().unwrap();
    server.admin().cancel(&name).await.unwrap();
    eventually("the cancellation in GitLab", async || {
        let now = forge.gitlab.pipeline(job.pipeline).unwrap().status;
        matches!(now, Status::Canceled | Status::Canceling).then_some(())
    })
    .await;
    server.admin().resume(&name).await.unwrap();
    // Only now the executor notices it.
    work.fails(FailureKind::Cancelled, "the GitLab job ended")
        .await;
    forge.gitlab.faults().remove(unseen);
    forge.job(&server, "libgreet", 2).await.succeeds().await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn detects_job_end_despite_own_commit_status() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&[
        "--gitlab-report=commit-status",
        "--gitlab-pipeline-seconds=1",
    ]);
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    eventually("the status in the pipeline", async || {
        let requests = forge.gitlab.requests();
        let mut requests = requests.iter().filter(|request| request.method == "POST");
        requests
            .any(|request| request.path.contains("/statuses/"))
            .then_some(())
    })
    .await;
    job.ends(Status::Failed, Some("runner_system_failure"));
    assert!(
        !forge
            .gitlab
            .pipeline(job.pipeline)
            .unwrap()
            .status
            .is_complete()
    );
    forge.pipeline("libgreet", 2).await;
}

#[tokio::test]
async fn projects_rejecting_pipelines_do_not_block_others() {
    let forge = Forge::that_builds(&apps(8)).await;
    let server = forge.server_that_builds().await;
    for number in 0..3 {
        forge.respond_for(&format!("app{number}"), "/pipeline", 500, "");
    }
    request_rebuild(&server, "bad", &changesets(0..3)).await;
    eventually("the first failures", async || {
        let mut requests = forge.gitlab.requests().into_iter();
        requests
            .any(|request| request.status == Some(500))
            .then_some(())
    })
    .await;
    request_rebuild(&server, "bump", &changesets(3..8)).await;
    for number in 3..8 {
        forge
            .job(&server, &format!("app{number}"), 1)
            .await
            .succeeds()
            .await;
    }
    ends_as(&server, IterationStatus::Done).await;
    let admin = server.admin();
    admin.cancel(&"bad".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn finds_own_pipelines_among_foreign_ones() {
    let forge = Forge::that_builds(&apps(10)).await;
    let options = forge.building_with(&["--gitlab-pipeline-seconds=1"]);
    let server = forge.server_with(options).await;
    request_rebuild(&server, "bump", &changesets(0..10)).await;
    for number in 0..10 {
        forge.pipeline(&format!("app{number}"), 1).await;
    }
    let last = (0..10).max_by_key(|number| forge.project(&format!("app{number}")).0);
    let last = format!("app{}", last.unwrap());
    // Nightly pipelines of another user, also created through the API.
    for number in 0..10 {
        let name = format!("app{number}");
        let inputs = serde_json::Value::Object(forge.pipelines(&name)[0].inputs.clone());
        for _ in (0..3).filter(|_| name != last) {
            let project = forge.project(&name);
            forge
                .gitlab
                .create_pipeline(project, "main", &[], &inputs)
                .unwrap();
        }
    }
    forge.cancel_job_of(&last);
    build_that_is(&server, &last, BuildStatus::Failed).await;
}

#[tokio::test]
async fn unqueryable_project_does_not_hide_others() {
    let forge = Forge::that_builds(&apps(2)).await;
    let options = forge.building_with(&["--gitlab-pipeline-seconds=1"]);
    let server = forge.server_with(options).await;
    request_rebuild(&server, "bump", &changesets(0..2)).await;
    forge.pipeline("app0", 1).await;
    forge.pipeline("app1", 1).await;
    forge.respond_for("app0", "/pipelines", 403, r#"{"message":"403 Forbidden"}"#);
    let slow = Fault::NullField {
        path: "group.projects.nodes[0].pipelines".into(),
        message: "Timeout on Project.pipelines".into(),
    };
    let on = On::Operation("PipelineStatuses".into());
    forge.gitlab.faults().add(on, Times::Always, slow);
    forge.cancel_job_of("app0");
    forge.cancel_job_of("app1");
    build_that_is(&server, "app1", BuildStatus::Failed).await;
}

#[tokio::test]
async fn cancels_pipeline_once_token_is_valid_again() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-pipeline-seconds=1"]);
    let server = forge.server_with(options).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    let refused = Fault::Respond {
        status: 401,
        headers: vec![],
        body: r#"{"message":"401 Unauthorized"}"#.into(),
    };
    forge.gitlab.clear_requests();
    let rule = forge.gitlab.faults().add(On::Any, Times::Always, refused);
    server
        .admin()
        .cancel(&"bump".parse().unwrap())
        .await
        .unwrap();
    eventually("a rejected cancellation", async || {
        let mut requests = forge.gitlab.requests().into_iter();
        requests
            .any(|request| request.path.ends_with("/cancel") && request.status == Some(401))
            .then_some(())
    })
    .await;
    forge.gitlab.faults().remove(rule);
    eventually("the end of the pipeline", async || {
        let now = forge.gitlab.pipeline(pipeline.id).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
    ends_as(&server, IterationStatus::Cancelled).await;
}

#[tokio::test]
async fn moved_branch_costs_one_pipeline_without_building_another_commit() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_with(forge.building()).await;
    let rule = forge.reject_creation();
    server.namespace("bump", &["libgreet/main"]).await;
    forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    forge.gitlab.faults().remove(rule);
    let build = build_that_is(&server, "libgreet", BuildStatus::Failed).await;
    assert!(build.message.unwrap().contains("moved from"));
    let all = forge.pipelines("libgreet");
    assert_eq!(all.len(), 1);
    eventually("the end of the pipeline", async || {
        let now = forge.gitlab.pipeline(all[0].id).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
    forge.gitlab.retry_pipeline(all[0].id).unwrap();
    let job = forge.runs(&server, all[0].id);
    let problem = refusal(job.exchanges(&job.id_token(), SECRET).await);
    assert!(problem.title.contains("runs on commit"), "{problem:?}");
}

#[tokio::test]
async fn cancels_build_of_project_that_vanished_after_lost_response() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_with(forge.building()).await;
    let faults = forge.gitlab.faults();
    faults.add(On::PipelineCreation, Times::Next(1), Fault::status(502));
    let not_found = r#"{"message":"404 Project Not Found"}"#;
    forge.respond_for("libgreet", "/pipelines", 404, not_found);
    server.namespace("bump", &["libgreet/main"]).await;
    server
        .admin()
        .cancel(&"bump".parse().unwrap())
        .await
        .unwrap();
    ends_as(&server, IterationStatus::Cancelled).await;
}

#[tokio::test]
async fn reassigns_gitlab_builds_to_workers_when_gitlab_is_disabled() {
    let forge = Forge::that_builds(&packages()).await;
    let mut server = forge.server_with(forge.building()).await;
    server.namespace("bump", &["libgreet/main"]).await;
    forge.pipeline("libgreet", 1).await;
    server.stop().await;
    server.options.extra.clear();
    server.start_again().await;
    server.expire_leases();
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}

#[tokio::test]
async fn architecture_without_runners_does_not_block_others() {
    let both = |name: &str| Srcinfo::new(name, "1-1").arch(&["x86_64", "aarch64"]);
    let all: Vec<Srcinfo> = (0..4).map(|number| both(&format!("app{number}"))).collect();
    let forge = Forge::that_builds(&all).await;
    let mut options = forge.building_with(&["--gitlab-max-pipelines=2"]);
    options.architectures = "aarch64,x86_64";
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    request_rebuild(&server, "bump", &changesets(0..4)).await;
    for _ in 0..4 {
        let next = eventually("a pipeline for x86_64", async || {
            let mut all = (0..4).flat_map(|number| forge.pipelines(&format!("app{number}")));
            all.find(|pipeline| {
                pipeline.status == Status::Pending && pipeline.inputs["architecture"] == "x86_64"
            })
        })
        .await;
        forge.runs(&server, next.id).succeeds().await;
    }
}

#[tokio::test]
async fn temporarily_invisible_group_ends_no_build() {
    let forge = Forge::that_builds(&packages()).await;
    let options = forge.building_with(&["--gitlab-pipeline-seconds=1"]);
    let server = forge.server_with(options).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let work = job.claim_as_executor().await;
    work.starts().await;
    let not_found = r#"{"message":"404 Project Not Found"}"#;
    let one = forge.respond_for("libgreet", "", 404, not_found);
    let nothing = Fault::Respond {
        status: 200,
        headers: vec![],
        body: r#"{"data":{"group":null}}"#.into(),
    };
    forge.gitlab.clear_requests();
    let on = On::Operation("PipelineStatuses".into());
    let two = forge.gitlab.faults().add(on, Times::Always, nothing);
    eventually("two polls", async || {
        (forge.requests_of("PipelineStatuses").len() >= 2).then_some(())
    })
    .await;
    forge.gitlab.faults().remove(one);
    forge.gitlab.faults().remove(two);
    work.succeeds().await;
    job.ends(Status::Success, None);
    build_that_is(&server, "libgreet", BuildStatus::Built).await;
}
