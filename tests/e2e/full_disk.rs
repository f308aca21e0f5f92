//! Full disks that later have free space again.

use buildbtw_model::{AttemptStatus, BuildStatus, FailureKind};
use buildbtw_tests::{Server, Sources, Worker, cli, is_root, pacman_upgrades, printed};

/// Database, uploads and repositories share the disk.
#[test]
fn server_reports_full_disk_and_resumes_with_free_space() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start_on_small_disk(folder.path(), &sources, "24m");

    let ballast = server.fill_disk();
    let refused = cli(&server, &["new", "libfoo/main", "--name", "foo"]);
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    assert!(
        printed(&refused).contains("the server's disk is full"),
        "{}",
        printed(&refused)
    );
    drop(ballast);
    let created = cli(&server, &["new", "libfoo/main", "--name", "foo"]);
    assert_eq!(created.status.code(), Some(0), "{}", printed(&created));

    let ballast = server.fill_disk();
    let scratch = folder.path().join("scratch");
    let mut worker = Worker::simulated(&server, &scratch, 2, "0.05");
    worker.process.wait_for_line("waiting for the server");
    server.wait_for_line("the disk is full");
    drop(ballast);

    let watched = cli(&server, &["watch", "foo"]);
    assert_eq!(watched.status.code(), Some(0), "{}", printed(&watched));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = server.client();
        let name = "foo".parse().unwrap();
        let iteration = client.iteration(&name, None).await.unwrap();
        assert_eq!(iteration.builds.len(), 4);
        for build in iteration.builds {
            assert_eq!(build.status, BuildStatus::Built);
            let attempts = client.build(build.id).await.unwrap().attempts;
            assert_eq!(attempts.len(), 1, "{attempts:?}");
        }
    });

    // Pushes made meanwhile are not lost.
    let ballast = server.fill_disk();
    sources.commit_text(
        "libfoo",
        "pkgbase = libfoo\n\tpkgver = 2\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = libfoo\n",
    );
    server.wait_for_line("cannot read the sources");
    drop(ballast);
    server.wait_for_line("planned new iteration");
    let watched = cli(&server, &["watch", "foo"]);
    assert_eq!(watched.status.code(), Some(0), "{}", printed(&watched));
    pacman_upgrades(folder.path(), &server, "foo");
}

/// The server stops accepting while there is still room for what it has accepted.
#[test]
fn server_keeps_disk_reserve_and_resumes_with_free_space() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start_with_disk_reserve(folder.path(), &sources, "64m", 16);

    let ballast = server.fill_disk_except(12);
    let refused = cli(&server, &["new", "libfoo/main", "--name", "foo"]);
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    for part in [
        "below its reserve",
        "16 MiB are reserved",
        "delete a namespace",
    ] {
        assert!(printed(&refused).contains(part), "{}", printed(&refused));
    }
    server.wait_for_line("accepting no uploads");
    let listed = cli(&server, &["list"]);
    assert!(
        printed(&listed).contains("outage of the server since"),
        "{}",
        printed(&listed)
    );
    drop(ballast);
    server.wait_for_line("outage ended");
    let created = cli(&server, &["new", "libfoo/main", "--name", "foo"]);
    assert_eq!(created.status.code(), Some(0), "{}", printed(&created));

    let ballast = server.fill_disk_except(12);
    let scratch = folder.path().join("scratch");
    let mut worker = Worker::simulated(&server, &scratch, 2, "0.05");
    worker.process.wait_for_line("worker started");
    // Its claim waits, and shows the server that the disk is below the reserve.
    server.wait_for_line("accepting no uploads");
    let shown = cli(&server, &["show", "foo"]);
    let text = printed(&shown);
    assert!(text.contains("below its reserve"), "{text}");
    assert!(!text.contains("building"), "{text}");
    drop(ballast);
    let watched = cli(&server, &["watch", "foo"]);
    assert_eq!(watched.status.code(), Some(0), "{}", printed(&watched));
    pacman_upgrades(folder.path(), &server, "foo");
}

#[test]
fn waits_for_repositories_that_cannot_be_stored() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let mut server = Server::start_on_small_disk(folder.path(), &sources, "24m");
    let ballast = server.fill_disk();
    sources.commit_text(
        "new",
        "pkgbase = new\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n\npkgname = new\n",
    );
    server.wait_for_line("cannot read the sources");
    let refused = cli(&server, &["new", "new/main", "--name", "foo"]);
    assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    assert!(printed(&refused).contains("full"), "{}", printed(&refused));
    drop(ballast);
    // No worker builds it: there is no old package to upgrade.
    let created = cli(&server, &["new", "new/main", "--name", "foo"]);
    assert_eq!(created.status.code(), Some(0), "{}", printed(&created));
}

#[test]
fn retries_builds_of_worker_with_full_disk() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_library(folder.path());
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let scratch = folder.path().join("scratch");
    let mut worker = Worker::simulated_on_small_disk(&server, &scratch, "1m");
    worker.process.wait_for_line("worker started");
    let ballast = worker.fill_disk();
    let created = cli(&server, &["new", "libfoo/main", "--name", "foo"]);
    assert_eq!(created.status.code(), Some(0), "{}", printed(&created));
    worker.process.wait_for_line("failure.kind=infrastructure");
    drop(ballast);
    let watched = cli(&server, &["watch", "foo"]);
    assert_eq!(watched.status.code(), Some(0), "{}", printed(&watched));
    pacman_upgrades(folder.path(), &server, "foo");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = server.client();
        let name = "foo".parse().unwrap();
        let iteration = client.iteration(&name, None).await.unwrap();
        let first = client.build(iteration.builds[0].id).await.unwrap();
        let failed = first.attempts.last().unwrap();
        assert_eq!(failed.status, AttemptStatus::Failed);
        assert_eq!(failed.failure, Some(FailureKind::Infrastructure));
        let message = failed.message.as_deref().unwrap_or_default();
        assert!(message.contains("No space left"), "{message}");
    });
}
