//! Checks and repairs of a data folder, and damaged databases.

use std::path::Path;

use buildbtw_model::{BuildStatus, IterationStatus};
use buildbtw_server::maintenance::check::{Finding, Options, check};
use buildbtw_server::owner::{Depth, foreign};
use buildbtw_server::run::DATABASE_FILE;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Repository, SourceTree, Srcinfo, TestServer, eventually, give_away, parse, start_server,
};

/// Pushes `libgreet` <- `greet`.
fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

async fn done(server: &TestServer) {
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.logs(0, "building\n").await.unwrap();
    job.succeeds().await;
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

const REPAIR: Options = Options {
    digests: false,
    repair: true,
};

async fn expect_no_findings(data: &Path) {
    let options = Options {
        digests: true,
        repair: false,
    };
    assert_eq!(texts(&check(data, options).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn check_rejects_running_server_and_accepts_intact_folder() {
    let mut server = TestServer::start(pair).await;
    done(&server).await;
    let busy = check(&server.data(), Options::default()).await.unwrap_err();
    assert!(busy.to_string().contains("another server"), "{busy}");
    server.stop().await;
    expect_no_findings(&server.data()).await;
}

#[tokio::test]
async fn repair_rebuilds_lost_packages_and_removes_unreferenced_files() {
    let mut server = TestServer::start(pair).await;
    done(&server).await;
    server.stop().await;
    let data = server.data();
    let folder = data.join("repos/bump/1/x86_64");
    fs_err::remove_file(folder.join("libgreet-2.0-1-x86_64.pkg.tar.zst")).unwrap();
    fs_err::write(folder.join("bump.files"), "nonsense").unwrap();
    fs_err::write(folder.join("stranger.pkg.tar.zst"), "").unwrap();
    fs_err::create_dir_all(data.join("repos/gone/1")).unwrap();
    fs_err::create_dir_all(data.join("repos/bump/7")).unwrap();
    let attempt = buildbtw_model::AttemptId::new();
    fs_err::write(data.join(format!("logs/{attempt}.log")), "old").unwrap();
    fs_err::write(data.join(format!("logs/{attempt}.PKGBUILD")), "old").unwrap();
    fs_err::create_dir_all(data.join(format!("uploads/{attempt}"))).unwrap();

    let found = texts(&check(&data, Options::default()).await.unwrap());
    for (part, what) in [
        ("libgreet-2.0-1-x86_64.pkg.tar.zst", "is missing"),
        ("bump.files", "does not list"),
        ("stranger.pkg.tar.zst", "unreferenced"),
        ("repos/gone", "unreferenced"),
        ("repos/bump/7", "unreferenced"),
        (".log", "unreferenced"),
        (".PKGBUILD", "unreferenced"),
        ("uploads/", "unreferenced"),
    ] {
        let is_told = |line: &String| line.contains(part) && line.contains(what);
        assert!(found.iter().any(is_told), "{part}: {found:?}");
    }
    // A check without repair changes nothing.
    assert_eq!(
        texts(&check(&data, Options::default()).await.unwrap()),
        found
    );
    check(&data, REPAIR).await.unwrap();
    expect_no_findings(&data).await;

    server.start_again().await;
    let lost = server.build("bump", "libgreet").await;
    assert_eq!(lost.status, BuildStatus::Failed);
    assert!(lost.message.unwrap().contains("is missing"));
    let all = buildbtw_model::api::RetryBuilds::default();
    server
        .admin()
        .retry_builds(&parse("bump"), &all)
        .await
        .unwrap();
    server.worker("w").await.builds("libgreet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
    let lists = Repository::new(server.url(), "bump", "1", "x86_64")
        .lists()
        .await;
    assert_eq!(lists, ["greet-1.0-1.1", "libgreet-2.0-1"]);
}

#[tokio::test]
async fn restores_lost_package_from_reusing_build() {
    let mut server = TestServer::start(pair).await;
    done(&server).await;
    server.namespace("other", &["libgreet/main"]).await;
    eventually("all builds are reused", async || {
        let status = server.iteration("other").await.summary.status;
        (status == IterationStatus::Done).then_some(())
    })
    .await;
    server.stop().await;
    let data = server.data();
    let lost = data.join("repos/bump/1/x86_64/libgreet-2.0-1-x86_64.pkg.tar.zst");
    // Of the right size, so that only reading it detects the damage.
    let size = lost.metadata().unwrap().len();
    fs_err::remove_file(&lost).unwrap();
    fs_err::write(&lost, vec![0; usize::try_from(size).unwrap()]).unwrap();
    assert_eq!(check(&data, Options::default()).await.unwrap(), []);
    let thorough = Options {
        digests: true,
        repair: true,
    };
    assert_eq!(check(&data, thorough).await.unwrap().len(), 1);
    expect_no_findings(&data).await;
    server.start_again().await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn refuses_to_start_with_damaged_database() {
    let mut server = TestServer::start(pair).await;
    done(&server).await;
    server.stop().await;
    let path = server.data().join(DATABASE_FILE);
    // SQLite merges its log into the file when the last connection closes, which may be after the
    // server.
    let log = server.data().join(format!("{DATABASE_FILE}-wal"));
    eventually("the end of the last connection", async || {
        (!log.exists()).then_some(())
    })
    .await;
    let mut bytes = fs_err::read(&path).unwrap();
    // Every page except the first, which describes how to read the others.
    for byte in bytes.iter_mut().skip(4096 + 100) {
        *byte = byte.wrapping_add(17);
    }
    fs_err::write(&path, &bytes).unwrap();
    let started = start_server(&server.arguments(), CancellationToken::new()).await;
    let error = started.err().expect("the server starts");
    assert!(error.to_string().contains("backup"), "{error:#}");
    assert!(
        fs_err::read(&path).unwrap() == bytes,
        "the file was modified"
    );
    let error = check(&server.data(), REPAIR).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error:#}");
}

#[tokio::test]
async fn check_by_root_leaves_everything_to_the_owner_of_the_folder() {
    let mut server = TestServer::start(pair).await;
    done(&server).await;
    server.stop().await;
    let data = server.data();
    let folder = data.join("repos/bump/1/x86_64");
    if !give_away(&data) {
        return;
    }
    let others = || foreign(&data, Depth::All).unwrap();
    for name in ["bump.db", "bump.files"] {
        fs_err::remove_file(folder.join(name)).unwrap();
    }
    // Created again by every check.
    fs_err::remove_dir(data.join("trash")).unwrap();
    assert_eq!(check(&data, Options::default()).await.unwrap().len(), 2);
    assert_eq!(others(), []);

    // As earlier versions have left them.
    let log = fs_err::read_dir(data.join("logs")).unwrap().next().unwrap();
    let log = log.unwrap().path();
    for path in [&log, &folder] {
        std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
    }
    let found = texts(&check(&data, Options::default()).await.unwrap());
    let part = "belongs to user 0, but the data folder to user 12345";
    let told = found.iter().filter(|line| line.contains(part)).count();
    assert_eq!((found.len(), told), (4, 2), "{found:?}");
    assert_eq!(others().len(), 2, "a check without repair changes nothing");
    let repaired = check(&data, REPAIR).await.unwrap();
    assert!(repaired.iter().all(|finding| finding.repair().is_some()));
    assert_eq!(others(), []);
    assert!(folder.join("bump.db").exists());
    expect_no_findings(&data).await;
}
