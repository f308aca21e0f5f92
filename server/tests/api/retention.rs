//! Removes old iterations, and keeps everything that is still needed.

use buildbtw_model::IterationStatus;

use crate::support::{ServerOptions, SourceTree, Srcinfo, TestServer, eventually, parse};

fn family(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "1.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

fn keep_iterations(count: &str) -> ServerOptions {
    ServerOptions {
        extra: vec!["--keep-iterations".into(), count.into()],
        ..ServerOptions::default()
    }
}

/// Pushes a new version of the origin, and waits for the iteration that follows.
async fn push(server: &TestServer, version: &str, number: u32) {
    server.sources.push(&Srcinfo::new("libgreet", version));
    eventually("a new iteration", async || {
        let newest = server.iteration("bump").await.summary.number;
        (newest == number).then_some(())
    })
    .await;
}

async fn expect_kept(server: &TestServer, numbers: &[u32]) {
    eventually(&format!("only {numbers:?} are kept"), async || {
        let detail = server.public().namespace(&parse("bump")).await.unwrap();
        let kept: Vec<u32> = detail.iterations.iter().map(|known| known.number).collect();
        (kept == numbers).then_some(())
    })
    .await;
}

fn folders(server: &TestServer) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(server.data().join("repos/bump"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn keeps_newest_iterations_and_newest_complete_one() {
    let server = TestServer::start_with(keep_iterations("2"), family).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let old = worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let detail = server.public().namespace(&parse("bump")).await.unwrap();
    assert!(detail.size > 0 && detail.iterations[0].size == detail.size);

    push(&server, "2.0-1", 2).await;
    push(&server, "3.0-1", 3).await;
    push(&server, "4.0-1", 4).await;
    expect_kept(&server, &[4, 3, 1]).await;
    // `latest` is still available to its users.
    let latest = "/repo/bump/latest/x86_64/bump.db";
    let response = server.request(reqwest::Method::GET, latest).send().await;
    assert!(response.unwrap().status().is_success());

    worker.builds("libgreet").await;
    let new = worker.builds("greet").await;
    expect_kept(&server, &[4, 3]).await;
    eventually("the folder is removed", async || {
        (folders(&server) == ["4"]).then_some(())
    })
    .await;
    let log = server
        .data()
        .join(format!("logs/{}.log", old.claimed.attempt));
    assert!(!log.exists());
    assert_ne!(old.claimed.version, new.claimed.version);
    let deleted = server.public().iteration(&parse("bump"), Some(1)).await;
    assert!(deleted.is_err());
}

#[tokio::test]
async fn keeps_packages_reused_by_later_iteration() {
    let server = TestServer::start_with(keep_iterations("1"), |sources| {
        family(sources);
        sources.push(&Srcinfo::new("party", "1.0-1").depends(&["greet"]));
    })
    .await;
    server
        .namespace("bump", &["greet/main", "party/main"])
        .await;
    let worker = server.worker("w").await;
    let created = worker.builds("greet").await;
    worker.builds("party").await;
    // Only party changes: greet is reused.
    server
        .sources
        .push(&Srcinfo::new("party", "2.0-1").depends(&["greet"]));
    eventually("a new iteration", async || {
        (server.iteration("bump").await.summary.number == 2).then_some(())
    })
    .await;
    worker.builds("party").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    expect_kept(&server, &[2]).await;

    let greet = server.build("bump", "greet").await;
    assert_eq!(greet.version, created.claimed.version);
    let detail = server.public().build(greet.id).await.unwrap();
    assert_eq!(detail.attempts.len(), 1, "its attempt and log are kept");
    let file = format!(
        "/repo/bump/2/x86_64/greet-{}-x86_64.pkg.tar.zst",
        greet.version
    );
    let response = server.request(reqwest::Method::GET, &file).send().await;
    assert!(response.unwrap().status().is_success());
}

/// The package leaves the rebuild, the iteration that had it is removed, and the package returns.
#[tokio::test]
async fn does_not_reuse_versions_of_removed_iterations() {
    let server = TestServer::start_with(keep_iterations("1"), family).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    worker.builds("libgreet").await;
    let first = worker.builds("greet").await;

    server.sources.push(&Srcinfo::new("greet", "1.0-1"));
    server.source_at("greet", "1.0-1").await;
    push(&server, "2.0-1", 2).await;
    worker.builds("libgreet").await;
    expect_kept(&server, &[2]).await;

    server
        .sources
        .push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
    push(&server, "3.0-1", 3).await;
    let again = server.build("bump", "greet").await;
    assert!(
        buildbtw_model::compare_versions(again.version.as_str(), first.claimed.version.as_str())
            .is_gt(),
        "{} after {}",
        again.version,
        first.claimed.version
    );
}
