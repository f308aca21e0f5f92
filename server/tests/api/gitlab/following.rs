//! GitLab without webhooks: requests query their projects immediately, and every new tree counts.

use buildbtw_fake_gitlab::{Fault, On, Times};
use buildbtw_model::api::{FollowDefault, ProblemKind, RetryBuilds};
use buildbtw_model::{BuildStatus, FailureKind, IterationStatus, NoteKind};
use jiff::SignedDuration;

use super::{Forge, GROUP, many, poll};
use crate::support::{Srcinfo, TestServer, eventually, new_namespace, parse, refusal};

/// Commits another file, which leaves `.SRCINFO` unchanged.
fn push_file(forge: &Forge, project: &str, name: &str, content: &str) -> String {
    let files: [(&str, Option<&[u8]>); 1] = [(name, Some(content.as_bytes()))];
    let project = forge.project(project);
    forge.gitlab.commit(project, "main", &files, "fix").unwrap()
}

async fn origin_of(server: &TestServer, name: &str, origin: &str) -> String {
    server.namespace(name, &[origin]).await;
    server.iteration(name).await.origins[0].commit.to_string()
}

async fn refused(server: &TestServer, origin: &str) -> buildbtw_model::api::Problem {
    let request = new_namespace(&[origin]);
    refusal(server.admin().create_namespace(&request).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_project_created_just_now() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let pushed = forge.push(&Srcinfo::new("libgreet", "1-1"));
    assert_eq!(origin_of(&server, "a", "libgreet/main").await, pushed);
    // Its path differs from its name.
    forge.push_to("libsigcplusplus", "main", &Srcinfo::new("libsigc++", "1-1"));
    origin_of(&server, "b", "libsigc++/main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_project_by_path_when_polls_omit_it() {
    let forge = Forge::new().await;
    let gitlab = &forge.gitlab;
    gitlab.create_group("elsewhere").unwrap();
    let hidden = ["deep", "old"].map(|name| {
        let project = gitlab.create_project(&format!("elsewhere/{name}")).unwrap();
        let text = Srcinfo::new(name, "1-1").text();
        let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
        let pushed = gitlab.commit(project, "main", &files, "first").unwrap();
        (name, project, pushed)
    });
    // The page ends between these projects and more recently active ones, and before the window.
    gitlab.clock().advance(SignedDuration::from_mins(1));
    gitlab.import_texts(many("p", 30), GROUP).unwrap();
    gitlab.clock().advance(SignedDuration::from_hours(30));
    forge.push(&Srcinfo::new("anchor", "2-1"));
    gitlab.set_complexity_limits(70, 70);
    let server = forge.server().await;
    poll(&server).await;
    // A move into the group does not count as activity.
    gitlab.create_group(&format!("{GROUP}/sub")).unwrap();
    for ((name, project, pushed), folder) in hidden.into_iter().zip(["sub/", ""]) {
        gitlab
            .rename(project, &format!("{GROUP}/{folder}{name}"))
            .unwrap();
        let origin = format!("{name}/main");
        assert_eq!(origin_of(&server, name, &origin).await, pushed);
    }
    assert!(!forge.requests_of("FindProjects").is_empty());
    let unknown = refused(&server, "nothing/main").await;
    assert_eq!(unknown.kind, ProblemKind::UnknownPkgbase);
}

#[tokio::test(flavor = "multi_thread")]
async fn rereads_project_broken_at_last_poll() {
    let forge = Forge::new().await;
    let first = forge
        .gitlab
        .create_project(&format!("{GROUP}/first"))
        .unwrap();
    let second = forge
        .gitlab
        .create_project(&format!("{GROUP}/second"))
        .unwrap();
    let nonsense: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(b"nonsense"))];
    forge
        .gitlab
        .commit(second, "main", &nonsense, "first")
        .unwrap();
    let server = forge.server().await;
    assert_eq!(
        refused(&server, "first/main").await.kind,
        ProblemKind::BrokenSource
    );
    for (name, project) in [("first", first), ("second", second)] {
        let text = Srcinfo::new(name, "1-1").text();
        let files: [(&str, Option<&[u8]>); 1] = [(".SRCINFO", Some(text.as_bytes()))];
        let pushed = forge.gitlab.commit(project, "main", &files, "fix").unwrap();
        let origin = format!("{name}/main");
        assert_eq!(origin_of(&server, name, &origin).await, pushed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_branch_despite_broken_default_branch() {
    let forge = Forge::new().await;
    let project = forge
        .gitlab
        .create_project(&format!("{GROUP}/libgreet"))
        .unwrap();
    let nothing: [(&str, Option<&[u8]>); 1] = [("README", Some(b"later"))];
    forge
        .gitlab
        .commit(project, "main", &nothing, "first")
        .unwrap();
    let next = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "1-1"));
    let server = forge.server().await;
    assert_eq!(origin_of(&server, "n", "libgreet/next").await, next);
    let moved = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2-1"));
    poll(&server).await;
    eventually("a new iteration", async || {
        let now = server.iteration("n").await;
        (now.origins[0].commit.as_str() == moved).then_some(())
    })
    .await;

    // A merge request of a package that does not exist yet.
    let request = forge
        .gitlab
        .open_merge_request(project, "main", project, "next", "Add it")
        .unwrap();
    let url = format!(
        "{}/{GROUP}/libgreet/-/merge_requests/{request}",
        forge.gitlab.url()
    );
    assert_eq!(origin_of(&server, "request", &url).await, moved);

    forge.gitlab.delete_branch(project, "main").unwrap();
    let problem = refused(&server, "libgreet/main").await;
    let text = format!("{problem:?}");
    for part in ["`main` does not exist", "next", "settings"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let other = forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "3-1"));
    assert_eq!(origin_of(&server, "m", "libgreet/next").await, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_includes_pushes_to_dependents_just_before() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.push(&Srcinfo::new("greet", "1-1").depends(&["libgreet"]));
    let server = forge.server().await;
    let pushed = push_file(&forge, "greet", "fix.patch", "better");
    server.namespace("n", &["libgreet/main"]).await;
    assert_eq!(server.build("n", "greet").await.commit.as_str(), pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_reports_age_of_unreadable_sources() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    let failure = Fault::status(502);
    let operation = On::Operation("GroupProjects".to_owned());
    forge.gitlab.faults().add(operation, Times::Always, failure);
    server.namespace("n", &["anchor/main"]).await;
    let iteration = server.iteration("n").await;
    let note = iteration
        .notes
        .iter()
        .find(|note| note.kind == NoteKind::Sources);
    let text = &note.unwrap_or_else(|| panic!("{:?}", iteration.notes)).text;
    assert!(text.contains("as they were at 20"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_changed_default_branch() {
    let forge = Forge::new().await;
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.push_to("libgreet", "next", &Srcinfo::new("libgreet", "2-1"));
    let server = forge.server().await;
    let project = forge.project("libgreet");
    forge.gitlab.set_default_branch(project, "next").unwrap();
    poll(&server).await;
    let found = server.source_at("libgreet", "2-1").await;
    assert_eq!(found.branch.as_deref(), Some("next"));
}

/// Pushes `libgreet` <- `greet`, and lets `greet` fail in the namespace `bump`.
async fn failed(forge: &Forge, server: &TestServer, follow_default: FollowDefault) {
    forge.push(&Srcinfo::new("libgreet", "1-1"));
    forge.push(&Srcinfo::new("greet", "1-1").depends(&["libgreet"]));
    let worker = server.worker("w").await;
    let mut request = new_namespace(&["libgreet/main"]);
    request.name = Some(parse("bump"));
    request.follow_default = follow_default;
    server.admin().create_namespace(&request).await.unwrap();
    worker.builds("libgreet").await;
    let job = worker.claims_build_of("greet").await;
    job.fails(FailureKind::Package, "a test failed").await;
    server
        .expect_iteration("bump", IterationStatus::Failed)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patching_a_dependent_continues_failed_rebuild() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    failed(&forge, &server, FollowDefault::AfterS(0)).await;
    // An empty commit has the same tree.
    let project = forge.project("libgreet");
    forge.gitlab.commit(project, "main", &[], "empty").unwrap();
    poll(&server).await;
    let fix = push_file(&forge, "greet", "patches/fix.patch", "better");
    poll(&server).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("greet").await;
    assert_eq!(job.claimed.source.commit.as_str(), fix);
    job.succeeds().await;
    let second = server.iteration("bump").await;
    assert_eq!(second.summary.number, 2);
    assert_eq!(second.summary.reason, "new commits of greet");
    let libgreet = server.build("bump", "libgreet").await;
    assert_eq!(libgreet.status, BuildStatus::Reused);
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_queries_newer_commits() {
    let forge = Forge::new().await;
    let server = forge.server().await;
    failed(&forge, &server, FollowDefault::Never).await;
    let fix = push_file(&forge, "greet", "fix.patch", "better");
    let latest = RetryBuilds {
        latest: true,
        ..RetryBuilds::default()
    };
    let retried = server
        .admin()
        .retry_builds(&parse("bump"), &latest)
        .await
        .unwrap();
    assert_eq!((retried.iteration, retried.is_new), (2, true));
    assert_eq!(retried.newer[0].to.as_str(), fix);
}
