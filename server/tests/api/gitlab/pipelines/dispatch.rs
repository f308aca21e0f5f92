//! From a ready build to a pipeline, and to its packages.

use buildbtw_fake_gitlab::Status;
use buildbtw_model::{BuildStatus, IterationStatus};

use super::{Forge, Srcinfo, build_that_is, ends_as, packages};
use crate::support::eventually;

#[tokio::test]
async fn runs_rebuild_as_pipelines_in_order() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    assert!(forge.pipelines("greeter").is_empty());

    let created = forge.gitlab.pipeline(job.pipeline).unwrap();
    let attempt = job.attempt();
    assert_eq!(created.name, Some(format!("buildbtw {attempt}")));
    assert_eq!(created.git_ref, "main");
    assert_eq!(created.inputs["pkgbase"], "libgreet");
    assert_eq!(created.inputs["architecture"], "x86_64");
    assert_eq!(created.inputs["server"], server.url());
    assert!(created.variables.is_empty());

    job.succeeds().await;
    forge.job(&server, "greeter", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
    let id = server.build("bump", "libgreet").await.id;
    let attempts = server.public().build(id).await.unwrap().attempts;
    let pipeline = attempts[0].pipeline.clone().unwrap();
    let number = pipeline.id.map(|id| id.to_string());
    assert_eq!(number, Some(created.id.to_string()));
    assert!(pipeline.url.unwrap().starts_with(forge.gitlab.url()));
    assert_eq!(attempts[0].worker.as_ref().unwrap().as_str(), "builder-1");
}

#[tokio::test]
async fn shows_state_of_pipelines() {
    let forge = Forge::that_builds(&packages()).await;
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    eventually("the pipeline's status", async || {
        let build = server.build("bump", "libgreet").await;
        let message = build.message.unwrap_or_default();
        (message == format!("pipeline {} is pending", pipeline.id)).then_some(())
    })
    .await;
    let job = forge.runs(&server, pipeline.id);
    let work = job.claim_as_executor().await;
    work.starts().await;
    let build = build_that_is(&server, "libgreet", BuildStatus::Building).await;
    assert_eq!(build.message, None);
}

#[tokio::test]
async fn builds_each_architecture_by_one_kind_of_builder() {
    let both = [Srcinfo::new("libgreet", "2.0-1").arch(&["x86_64", "aarch64"])];
    let forge = Forge::that_builds(&both).await;
    let mut options = forge.building_with(&["--gitlab-architectures=x86_64"]);
    options.architectures = "x86_64,aarch64";
    let server = forge.server_with(options).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker_for("w", &["x86_64", "aarch64"]).await;
    let job = worker.claims().await;
    assert_eq!(job.claimed.architecture.as_str(), "aarch64");
    job.succeeds().await;
    let nothing = worker.claims_once(buildbtw_model::ClaimId::new(), 0).await;
    assert!(nothing.unwrap().is_none());
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
}

#[tokio::test]
async fn limits_number_of_pipelines() {
    let many: Vec<Srcinfo> = (0..5)
        .map(|number| Srcinfo::new(&format!("app{number}"), "1-1").depends(&["libgreet"]))
        .chain([Srcinfo::new("libgreet", "2.0-1")])
        .collect();
    let forge = Forge::that_builds(&many).await;
    let options = forge.building_with(&["--gitlab-max-pipelines=2"]);
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    forge.job(&server, "libgreet", 1).await.succeeds().await;
    let open = || -> Vec<_> {
        (0..5)
            .flat_map(|number| forge.pipelines(&format!("app{number}")))
            .filter(|pipeline| pipeline.status == Status::Pending)
            .collect()
    };
    for left in (0..5_usize).rev() {
        let waiting = eventually("as many pipelines as allowed", async || {
            let open = open();
            assert!(open.len() <= 2, "{open:?}");
            (open.len() == 2.min(left + 1)).then_some(open)
        })
        .await;
        forge.runs(&server, waiting[0].id).succeeds().await;
    }
    ends_as(&server, IterationStatus::Done).await;
}

#[tokio::test]
async fn runs_origin_branch_pipeline_on_that_branch() {
    let forge = Forge::that_builds(&packages()).await;
    let commit = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let server = forge.server_that_builds().await;
    server.namespace("bump", &["libgreet/next"]).await;
    let job = forge.job(&server, "libgreet", 1).await;
    let pipeline = forge.gitlab.pipeline(job.pipeline).unwrap();
    assert_eq!((pipeline.git_ref, pipeline.sha), ("next".into(), commit));
    // The branch is not protected; the template in another project makes it safe.
    job.succeeds().await;
    forge.job(&server, "greeter", 1).await.succeeds().await;
    ends_as(&server, IterationStatus::Done).await;
}

#[tokio::test]
async fn reports_origins_that_are_not_branches() {
    let forge = Forge::that_builds(&packages()).await;
    let commit = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3.0-1"));
    let server = forge.server_that_builds().await;
    server
        .namespace("bump", &[&format!("libgreet/{commit}")])
        .await;
    ends_as(&server, IterationStatus::Failed).await;
    let message = server.build("bump", "libgreet").await.message.unwrap();
    assert!(message.contains("branches and tags only"), "{message}");
    assert!(forge.pipelines("libgreet").is_empty());
}

#[tokio::test]
async fn rejects_pipeline_of_unplanned_commit() {
    let forge = Forge::that_builds(&packages()).await;
    let mut options = forge.building();
    options.extra.push("--gitlab-max-pipelines=1".into());
    let server = forge.server_with(options).await;
    // Planned with the first commit; no webhook announces the second.
    let rule = forge.reject_creation();
    server.namespace("bump", &["libgreet/main"]).await;
    forge.push(&Srcinfo::new("libgreet", "2.0-2"));
    forge.gitlab.faults().remove(rule);
    let pipeline = forge.pipeline("libgreet", 1).await;
    eventually("the end of the pipeline", async || {
        let now = forge.gitlab.pipeline(pipeline.id).unwrap().status;
        (now == Status::Canceled).then_some(())
    })
    .await;
    let build = eventually("the reason", async || {
        let build = server.build("bump", "libgreet").await;
        let moved = build
            .message
            .as_ref()
            .is_some_and(|m| m.contains("moved from"));
        moved.then_some(build)
    })
    .await;
    assert_ne!(build.status, BuildStatus::Built);
}

#[tokio::test]
async fn passes_variables_to_old_gitlab() {
    const TEMPLATE: &str = include_str!("../../../../../ci/buildbtw-variables.yml");
    let forge = Forge::that_builds(&packages()).await;
    forge.change_template(TEMPLATE);
    let options = forge.building_with(&["--gitlab-parameters=variables"]);
    let server = forge.server_with(options).await;
    forge.hook(&server, true);
    server.namespace("bump", &["libgreet/main"]).await;
    let pipeline = forge.pipeline("libgreet", 1).await;
    assert!(pipeline.inputs.is_empty());
    let names: Vec<&str> = pipeline
        .variables
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    assert!(names.contains(&"BUILDBTW_ATTEMPT"), "{names:?}");
    assert!(pipeline.name.unwrap().starts_with("buildbtw 0"));
}
