//! Existing packages, and when they may be reused.

use buildbtw_model::api::{BuildDetail, BuildSummary, CreateIteration, ReusedFrom};
use buildbtw_model::{AttemptId, AttemptStatus, BuildStatus};
use buildbtw_server::maintenance::check::{Options, check};
use reqwest::{Method, StatusCode};

use crate::support::{
    Job, ServerOptions, SourceTree, Srcinfo, TestServer, eventually, new_namespace, parse,
};

/// Pushes `libgreet` <- `greet`.
fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

/// Returns status and version of `greet` once it has packages.
async fn finished_greet(server: &TestServer, namespace: &str) -> (BuildStatus, String) {
    let build: BuildSummary = eventually("greet has packages", async || {
        let build = server.build(namespace, "greet").await;
        build.status.has_packages().then_some(build)
    })
    .await;
    (build.status, build.version.to_string())
}

#[tokio::test]
async fn does_not_reuse_older_release_than_before() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let a = server.namespace("a", &["libgreet/main"]).await;
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    // The same commits in two namespaces, planned before either is built: only one of them has
    // built greet before.
    server.sources.push(&Srcinfo::new("libgreet", "3.0-1"));
    server.source_at("libgreet", "3.0-1").await;
    eventually("a follows", async || {
        (server.iteration("a").await.summary.number == 2).then_some(())
    })
    .await;
    server.namespace("b", &["libgreet/main"]).await;
    for _ in 0..4 {
        worker.claims().await.succeeds().await;
    }
    let built = |version: &str| (BuildStatus::Built, version.to_owned());
    assert_eq!(finished_greet(&server, "a").await, built("1.0-1.2"));
    assert_eq!(finished_greet(&server, "b").await, built("1.0-1.1"));

    let request = CreateIteration::default();
    server.admin().create_iteration(&a, request).await.unwrap();
    assert_eq!(
        finished_greet(&server, "a").await,
        (BuildStatus::Reused, "1.0-1.2".to_owned())
    );
}

#[tokio::test]
async fn does_not_reuse_unbumped_packages_for_bumped_ones() {
    let server = TestServer::start(pair).await;
    let worker = server.worker("w").await;
    let mut plain = new_namespace(&["libgreet/main"]);
    plain.name = Some(parse("plain"));
    plain.no_bump = true;
    server.admin().create_namespace(&plain).await.unwrap();
    worker.builds("libgreet").await;
    worker.builds("greet").await;
    assert_eq!(finished_greet(&server, "plain").await.1, "1.0-1");

    // The origin keeps its version in both, so it can be reused; the dependent would not upgrade
    // the existing one.
    server.namespace("bumped", &["libgreet/main"]).await;
    worker.builds("greet").await;
    assert_eq!(
        finished_greet(&server, "bumped").await,
        (BuildStatus::Built, "1.0-1.1".to_owned())
    );
    let libgreet = server.build("bumped", "libgreet").await;
    assert_eq!(libgreet.status, BuildStatus::Reused);
    // Nor in the other direction.
    plain.name = Some(parse("plain-2"));
    server.admin().create_namespace(&plain).await.unwrap();
    assert_eq!(
        finished_greet(&server, "plain-2").await,
        (BuildStatus::Reused, "1.0-1".to_owned())
    );
}

/// Packages record their packager and build tool, and may contain unchecked sources.
#[tokio::test]
async fn does_not_reuse_packages_of_other_settings() {
    let mut server = TestServer::start(pair).await;
    server.namespace("first", &["libgreet/main"]).await;
    builds_all(&server, "first", 2).await;
    for (name, settings) in [
        (
            "packager",
            &["--packager", "Jane Doe <jane@example.org>"][..],
        ),
        (
            "tool",
            &["--buildtool", "devtools", "--buildtoolver", "1.3"],
        ),
        ("keys", &["--missing-keys", "warn"]),
        ("same", &[]),
    ] {
        server.stop().await;
        server.options.extra = settings.iter().map(|text| (*text).to_owned()).collect();
        server.start_again().await;
        server.namespace(name, &["libgreet/main"]).await;
        // A reused build is blocked until the repository lists it; others are ready immediately.
        let build = server.build(name, "libgreet").await;
        if settings.is_empty() {
            reused(&server, name, "libgreet").await;
        } else {
            assert_eq!(build.status, BuildStatus::Ready, "{name}: {build:?}");
        }
    }
}

/// Builds a namespace with a line of log each.
async fn builds_all(server: &TestServer, namespace: &str, count: usize) -> Vec<Job> {
    let worker = server.worker(&format!("builds-{namespace}")).await;
    let mut jobs = Vec::new();
    for _ in 0..count {
        let job = worker.claims().await;
        job.starts().await;
        let pkgbase = job.claimed.pkgbase.clone();
        job.logs(0, &format!("{pkgbase} for {namespace}\n"))
            .await
            .unwrap();
        job.succeeds().await;
        jobs.push(job);
    }
    jobs
}

/// Returns a reused build, and the attempt it names as its source.
async fn reused(server: &TestServer, namespace: &str, pkgbase: &str) -> (BuildDetail, ReusedFrom) {
    let build = eventually(&format!("{pkgbase} is reused"), async || {
        let build = server.build(namespace, pkgbase).await;
        (build.status == BuildStatus::Reused).then_some(build)
    })
    .await;
    let detail = server.public().build(build.id).await.unwrap();
    assert_eq!(detail.summary.attempt, build.attempt);
    let origin = build.reused_from.expect("no original attempt");
    assert_eq!(build.attempt, Some(origin.attempt));
    // It took no time here.
    assert_eq!(build.started_at, None);
    // The list and the build agree; the build contains more.
    let shown = detail.summary.reused_from.as_ref().unwrap();
    assert_eq!(shown.to_string(), origin.to_string());
    assert_eq!((shown.attempt, shown.build), (origin.attempt, origin.build));
    let shown = shown.made_by.as_ref().unwrap();
    assert_eq!((shown.id, shown.number), (origin.attempt, origin.number));
    assert_eq!(shown.status, AttemptStatus::Succeeded);
    assert!(shown.worker.is_some() && shown.started_at.is_some());
    (detail, origin)
}

async fn text_of(server: &TestServer, path: &str) -> (StatusCode, String) {
    let response = server.request(Method::GET, path).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// Asserts that the log of an attempt is available, by itself and on the page of a build.
async fn expect_log(server: &TestServer, build: &BuildDetail, attempt: AttemptId, line: &str) {
    let log = text_of(server, &format!("/api/v1/attempts/{attempt}/log")).await;
    assert_eq!(log, (StatusCode::OK, format!("{line}\n")));
    let (_, page) = text_of(server, &format!("/builds/{}", build.summary.id)).await;
    assert!(page.contains(line), "{page}");
    assert!(
        page.contains(&format!("/api/v1/attempts/{attempt}/log")),
        "{page}"
    );
}

fn log_file(server: &TestServer, attempt: AttemptId) -> std::path::PathBuf {
    server.data().join(format!("logs/{attempt}.log"))
}

#[tokio::test]
async fn links_reused_builds_to_original_attempt() {
    let server = TestServer::start(pair).await;
    server.namespace("first", &["libgreet/main"]).await;
    let jobs = builds_all(&server, "first", 2).await;
    let greet = &jobs[1].claimed;
    server.namespace("second", &["libgreet/main"]).await;
    reused(&server, "second", "greet").await;
    // Reused packages are reused again: all link to the attempt that built them.
    server.namespace("third", &["libgreet/main"]).await;
    for namespace in ["second", "third"] {
        let (detail, origin) = reused(&server, namespace, "greet").await;
        assert_eq!(origin.attempt, greet.attempt);
        assert_eq!(origin.namespace, Some(parse("first")));
        assert_eq!(
            (origin.iteration, origin.build),
            (Some(1), Some(greet.build))
        );
        assert!(!origin.namespace_deleted);
        expect_log(&server, &detail, greet.attempt, "greet for first").await;
        let (_, page) = text_of(&server, &format!("/builds/{}", detail.summary.id)).await;
        let link = format!(
            "<a href=\"/builds/{}?attempt={}#log\">namespace first, iteration 1, attempt 1</a>",
            greet.build, greet.attempt
        );
        assert!(page.contains(&link), "{page}");
    }
    // Packages that were built here name no other attempt.
    assert!(server.build("first", "greet").await.reused_from.is_none());
}

#[tokio::test]
async fn keeps_logs_of_shared_packages_after_namespace_deletion() {
    let mut server = TestServer::start(pair).await;
    server.namespace("first", &["libgreet/main"]).await;
    let jobs = builds_all(&server, "first", 2).await;
    let attempt = jobs[1].claimed.attempt;
    for name in ["second", "third"] {
        server.namespace(name, &["libgreet/main"]).await;
        reused(&server, name, "greet").await;
    }
    server
        .admin()
        .delete_namespace(&parse("first"))
        .await
        .unwrap();
    // Another namespace with that name is not the one that built it.
    server.sources.push(&Srcinfo::new("party", "1.0-1"));
    server.source_at("party", "1.0-1").await;
    server.namespace("first", &["party/main"]).await;

    let expect_kept = async |server: &TestServer, namespace: &str| {
        let (detail, origin) = reused(server, namespace, "greet").await;
        assert_eq!(origin.attempt, attempt);
        assert_eq!(
            (origin.number, origin.iteration, origin.build),
            (1, Some(1), None)
        );
        assert_eq!(origin.namespace, Some(parse("first")));
        assert!(origin.namespace_deleted);
        assert_eq!(
            origin.to_string(),
            "namespace first (deleted), iteration 1, attempt 1"
        );
        expect_log(server, &detail, attempt, "greet for first").await;
        let (_, page) = text_of(server, &format!("/builds/{}", detail.summary.id)).await;
        assert!(
            page.contains("namespace first (deleted), iteration 1"),
            "{page}"
        );
        assert!(!page.contains("/namespaces/first\""), "{page}");
    };
    expect_kept(&server, "second").await;
    expect_kept(&server, "third").await;

    // A crash between deleting the rows and the files leaves files: those are removed, these stay.
    let left = AttemptId::new();
    fs_err::write(log_file(&server, left), "left").unwrap();
    server.crash().await;
    server.start_again().await;
    assert!(!log_file(&server, left).exists());
    expect_kept(&server, "second").await;
    server.stop().await;
    let repair = Options {
        digests: true,
        repair: true,
    };
    let found = check(&server.data(), repair).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    server.start_again().await;

    server
        .admin()
        .delete_namespace(&parse("third"))
        .await
        .unwrap();
    expect_kept(&server, "second").await;
    // A fourth reuses packages that only the second still has.
    server.namespace("fourth", &["libgreet/main"]).await;
    expect_kept(&server, "fourth").await;
    server
        .admin()
        .delete_namespace(&parse("second"))
        .await
        .unwrap();
    expect_kept(&server, "fourth").await;
    assert!(log_file(&server, attempt).exists());
    // It is removed with the last package.
    server
        .admin()
        .delete_namespace(&parse("fourth"))
        .await
        .unwrap();
    assert!(!log_file(&server, attempt).exists());
    let deleted = text_of(&server, &format!("/api/v1/attempts/{attempt}/log")).await;
    assert_eq!(deleted.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keeps_logs_of_shared_packages_after_iteration_removal() {
    let options = ServerOptions {
        extra: vec!["--keep-iterations".into(), "1".into()],
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        pair(sources);
        sources.push(&Srcinfo::new("party", "1.0-1").depends(&["greet"]));
    })
    .await;
    server
        .namespace("first", &["libgreet/main", "party/main"])
        .await;
    let jobs = builds_all(&server, "first", 3).await;
    let greet = &jobs[1].claimed;
    server
        .sources
        .push(&Srcinfo::new("party", "2.0-1").depends(&["greet"]));
    eventually("a new iteration", async || {
        (server.iteration("first").await.summary.number == 2).then_some(())
    })
    .await;
    builds_all(&server, "first", 1).await;
    eventually("the first iteration is removed", async || {
        let detail = server.public().namespace(&parse("first")).await.unwrap();
        (detail.iterations.len() == 1).then_some(())
    })
    .await;
    let (detail, origin) = reused(&server, "first", "greet").await;
    assert_eq!((origin.attempt, origin.build), (greet.attempt, None));
    assert!(!origin.namespace_deleted);
    assert_eq!(
        origin.to_string(),
        "namespace first, iteration 1 (removed), attempt 1"
    );
    expect_log(&server, &detail, greet.attempt, "greet for first").await;
    let (_, page) = text_of(&server, &format!("/builds/{}", detail.summary.id)).await;
    assert!(
        page.contains("<a href=\"/namespaces/first\">namespace first, iteration 1"),
        "{page}"
    );
}

/// Two packages that need each other, and one for all architectures.
#[tokio::test]
async fn links_every_stage_and_architecture_to_its_attempt() {
    let options = ServerOptions {
        architectures: "x86_64,aarch64",
        ..ServerOptions::default()
    };
    let server = TestServer::start_with(options, |sources| {
        let both = ["x86_64", "aarch64"];
        let push = |name, needs| {
            sources.push(&Srcinfo::new(name, "1.0-1").arch(&both).depends(&[needs]));
        };
        push("libgreet", "libparty");
        push("libparty", "libgreet");
        sources.push(
            &Srcinfo::new("docs", "1.0-1")
                .arch(&["any"])
                .depends(&["libgreet"]),
        );
    })
    .await;
    server.namespace("first", &["libgreet/main"]).await;
    let worker = server.worker_for("w", &["x86_64", "aarch64"]).await;
    let mut created = Vec::new();
    let all = server.iteration("first").await.builds;
    let own = all.iter().filter(|build| {
        build.pkgbase.as_str() != "docs" || build.architecture.as_str() == "x86_64"
    });
    for _ in 0..own.count() {
        let job = worker.claims().await;
        job.succeeds().await;
        created.push(job.claimed.clone());
    }
    eventually("docs is there for both", async || {
        let builds = server.iteration("first").await.builds;
        builds
            .iter()
            .all(|build| build.status.has_packages())
            .then_some(())
    })
    .await;
    // The second architecture reuses the packages of the first.
    let docs = server.build_for("first", "docs", "aarch64").await;
    let origin = docs.reused_from.expect("docs has no original attempt");
    assert_eq!(origin.architecture.as_str(), "x86_64");
    assert_eq!(origin.namespace, Some(parse("first")));

    let request = CreateIteration::default();
    let admin = server.admin();
    admin
        .create_iteration(&parse("first"), request)
        .await
        .unwrap();
    eventually("all builds are reused", async || {
        let detail = server.iteration("first").await;
        let is_reused = |build: &BuildSummary| build.status == BuildStatus::Reused;
        let reused = detail
            .builds
            .iter()
            .filter(|build| is_reused(build))
            .count();
        assert_eq!(detail.summary.number, 2);
        assert!(
            detail.summary.counts.failed == 0 && detail.summary.counts.ready == 0,
            "{:?}",
            detail.builds
        );
        (reused == detail.builds.len()).then_some(())
    })
    .await;
    let builds = server.iteration("first").await.builds;
    assert!(builds.iter().any(|build| build.stage == 2), "{builds:?}");
    for build in builds
        .iter()
        .filter(|build| build.pkgbase.as_str() != "docs")
    {
        let origin = build.reused_from.clone().unwrap();
        let maker = created
            .iter()
            .find(|created| created.attempt == origin.attempt)
            .unwrap();
        assert_eq!(
            (maker.stage, &maker.architecture),
            (build.stage, &build.architecture)
        );
        assert_eq!(
            (origin.stage, &origin.architecture),
            (build.stage, &build.architecture)
        );
    }
}
