//! Backups of running servers, and restores.

use std::collections::VecDeque;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use buildbtw_model::api::CreateNamespace;
use buildbtw_model::client::Client;
use buildbtw_model::{BuildStatus, ClaimId, IterationStatus, NamespaceName};
use buildbtw_server::maintenance::backup::restore::{Restored, Source, restore};
use buildbtw_server::maintenance::backup::{self, Summary, backup_to};
use buildbtw_server::maintenance::check::{Options, check};
use buildbtw_server::owner::{Depth, Owner, foreign};
use buildbtw_server::repos::Repos;
use buildbtw_server::run::{DATABASE_FILE, RESTORING_FILE};
use tokio_util::sync::CancellationToken;

use crate::support::{
    FakeWorker, Repository, SourceTree, Srcinfo, TestServer, eventually, give_away, new_namespace,
    parse, reported, start_server,
};

const LIBRARIES: usize = 4;

/// Pushes some libraries, each with a chain of two dependents.
fn forest(sources: &SourceTree) {
    for number in 0..LIBRARIES {
        let [library, program, extra] =
            ["lib", "app", "extra"].map(|name| format!("{name}{number}"));
        sources.push(&Srcinfo::new(&library, "1-1"));
        sources.push(&Srcinfo::new(&program, "1-1").depends(&[&library]));
        sources.push(&Srcinfo::new(&extra, "1-1").depends(&[&program]));
    }
}

async fn backup(data: &Path, target: &Path) -> anyhow::Result<Summary> {
    backup::backup(data, target, &CancellationToken::new()).await
}

fn pair(sources: &SourceTree) {
    sources.push(&Srcinfo::new("libgreet", "2.0-1"));
    sources.push(&Srcinfo::new("greet", "1.0-1").depends(&["libgreet"]));
}

/// Starts a server that has built both packages.
async fn finished() -> TestServer {
    let server = TestServer::start(pair).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.logs(0, "building\n").await.unwrap();
    job.succeeds().await;
    worker.builds("greet").await;
    server
}

async fn expect_clean(restored: &Restored, data: &Path) {
    assert_eq!(restored.findings, []);
    let options = Options {
        digests: true,
        repair: false,
    };
    assert_eq!(check(data, options).await.unwrap(), []);
}

async fn restored(source: &Path, data: &Path) -> Restored {
    restore(data, Source::open(source).unwrap()).await.unwrap()
}

async fn refused(source: &Path, data: &Path) -> String {
    let source = match Source::open(source) {
        Ok(source) => source,
        Err(error) => return format!("{error:#}"),
    };
    format!("{:#}", restore(data, source).await.unwrap_err())
}

async fn archive(data: &Path, target: &Path) -> Summary {
    let file = fs_err::File::create(target).unwrap();
    let never = CancellationToken::new();
    backup_to(data, file, &never).await.unwrap()
}

/// Stops a server, and restores a backup in place of its data.
async fn restart_from(server: &mut TestServer, source: &Path) -> Restored {
    let token = server.admin_token();
    server.stop().await;
    // A connection that closes later would remove the log of the restored database.
    let log = server.data().join(format!("{DATABASE_FILE}-wal"));
    eventually("the end of the last connection", async || {
        (!log.exists()).then_some(())
    })
    .await;
    fs_err::rename(server.data(), server.scratch("old").join("data")).unwrap();
    let restored = restored(source, &server.data()).await;
    // It is the only secret in the data folder, and not part of backups.
    fs_err::write(server.data().join("admin-token"), token).unwrap();
    server.start_again().await;
    restored
}

#[tokio::test]
async fn server_starts_from_backup_of_running_server() {
    let mut server = finished().await;
    let build = server.build("bump", "libgreet").await;
    let copy = server.scratch("backups").join("first");
    let summary = backup(&server.data(), &copy).await.unwrap();
    assert!(summary.lost.is_empty(), "{:?}", summary.lost);
    let metadata = copy.join(DATABASE_FILE).metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let package = "repos/bump/1/x86_64/libgreet-2.0-1-x86_64.pkg.tar.zst";
    let inode = |folder: &Path| folder.join(package).metadata().unwrap().ino();
    assert_eq!(inode(&copy), inode(&server.data()), "a hard link");
    assert!(!copy.join("admin-token").exists());
    assert!(
        fs_err::read_dir(server.data().join("backup"))
            .unwrap()
            .next()
            .is_none()
    );

    let outcome = restart_from(&mut server, &copy).await;
    assert_eq!(outcome.totals.files, summary.totals.files);
    server.expect_iteration("bump", IterationStatus::Done).await;
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert_eq!(
        repository.lists().await,
        ["greet-1.0-1.1", "libgreet-2.0-1"]
    );
    let attempt = build.attempt.unwrap();
    let log = server.public().log(attempt, 0, false).await.unwrap();
    assert_eq!(log.text().await.unwrap(), "building\n");
    server.stop().await;
    expect_clean(&outcome, &server.data()).await;
    assert_ne!(
        inode(&copy),
        inode(&server.data()),
        "the backup stays as it is"
    );
}

#[tokio::test]
async fn restores_archive_with_shared_packages_stored_once() {
    let server = finished().await;
    server.namespace("other", &["libgreet/main"]).await;
    eventually("all builds are reused", async || {
        let status = server.iteration("other").await.summary.status;
        (status == IterationStatus::Done).then_some(())
    })
    .await;
    let folder = server.scratch("backups");
    let file = folder.join("backup.tar");
    let summary = archive(&server.data(), &file).await;
    let data = folder.join("restored");
    let outcome = restored(&file, &data).await;
    assert_eq!(outcome.totals, summary.totals);
    let package = "x86_64/libgreet-2.0-1-x86_64.pkg.tar.zst";
    let inodes = ["bump", "other"].map(|namespace| {
        let path = data.join(format!("repos/{namespace}/1/{package}"));
        path.metadata().unwrap().ino()
    });
    assert_eq!(inodes[0], inodes[1]);
    expect_clean(&outcome, &data).await;
}

/// Builds whatever there is until it is told to stop. Namespaces may be deleted meanwhile.
async fn build_until(worker: FakeWorker, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let Ok(Some(job)) = worker.claims_once(ClaimId::new(), 1).await else {
            continue;
        };
        let started = job.heartbeat().await.is_ok() && job.logs(0, "building\n").await.is_ok();
        if !started {
            continue;
        }
        let packages = job.create_packages().await;
        let mut all_uploaded = true;
        for package in &packages {
            all_uploaded &= job.uploads(package).await.is_ok();
        }
        if all_uploaded {
            let _ = job.logs(9, "built\n").await;
            let _ = job.reports(&reported(&packages)).await;
        }
    }
}

/// Creates and deletes namespaces until it is told to stop. Returns how many were deleted.
async fn come_and_go(admin: Client, stop: CancellationToken) -> usize {
    let mut names: VecDeque<NamespaceName> = VecDeque::new();
    let mut deleted = 0;
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let library = format!("lib{}/main", number % LIBRARIES);
        let request = CreateNamespace {
            name: Some(parse(&format!("busy-{number}"))),
            no_bump: number % 2 == 0,
            ..new_namespace(&[&library])
        };
        let created = admin.create_namespace(&request).await;
        names.extend(created.ok().map(|created| created.summary.name));
        if names.len() > 3 {
            let name = names.pop_front().unwrap();
            // Refused while another namespace is taking over its packages.
            deleted += usize::from(admin.delete_namespace(&name).await.is_ok());
        }
    }
    deleted
}

#[tokio::test]
async fn restores_consistent_state_of_busy_server() {
    let mut server = TestServer::start(forest).await;
    let origins: Vec<String> = (0..LIBRARIES).map(|n| format!("lib{n}/main")).collect();
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for name in ["a", "b"] {
        let worker = server.worker(name).await;
        workers.push(tokio::spawn(build_until(worker, stop.clone())));
    }
    let coming = tokio::spawn(come_and_go(server.admin(), stop.clone()));
    server.namespace("kept", &origins).await;
    eventually("a build has ended", async || {
        let counts = server.iteration("kept").await.summary.counts;
        (counts.done > 0).then_some(())
    })
    .await;

    let folder = server.scratch("backups");
    let mut first = None;
    for round in 0.. {
        let is_done = server.iteration("kept").await.summary.status.is_final();
        if is_done && round >= 4 {
            break;
        }
        let source = folder.join(round.to_string());
        // Both forms in turn.
        let summary = match round % 2 {
            0 => backup(&server.data(), &source).await.unwrap(),
            _ => archive(&server.data(), &source).await,
        };
        assert!(summary.lost.is_empty(), "{:?}", summary.lost);
        let data = folder.join(format!("{round}-restored"));
        let outcome = restored(&source, &data).await;
        expect_clean(&outcome, &data).await;
        first.get_or_insert(source);
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    let deleted = coming.await.unwrap();
    assert!(deleted > 0, "no namespace was deleted meanwhile");

    let outcome = restart_from(&mut server, &first.unwrap()).await;
    assert_eq!(outcome.findings, []);
    // The attempts of that moment have no worker any more.
    server.expire_leases();
    let stop = CancellationToken::new();
    let worker = server.worker("c").await;
    let building = tokio::spawn(build_until(worker, stop.clone()));
    eventually("the restored server has built the rest", async || {
        let status = server.iteration("kept").await.summary.status;
        (status == IterationStatus::Done).then_some(())
    })
    .await;
    stop.cancel();
    building.await.unwrap();
    let repository = Repository::new(server.url(), "kept", "1", "x86_64");
    assert_eq!(repository.lists().await.len(), 3 * LIBRARIES);
    server.stop().await;
    expect_clean(&outcome, &server.data()).await;
}

#[tokio::test]
async fn deletion_waits_while_a_backup_collects_files() {
    let server = finished().await;
    let package = "repos/bump/1/x86_64/libgreet-2.0-1-x86_64.pkg.tar.zst";
    let package = server.data().join(package);
    let repos = Repos::new(&server.data()).unwrap();
    let collecting = repos.pause_removals().unwrap();
    let admin = server.admin();
    let deleting = tokio::spawn(async move { admin.delete_namespace(&parse("bump")).await });
    let public = server.public();
    eventually("the namespace is gone", async || {
        let found = public.namespace(&parse("bump")).await;
        found.is_err().then_some(())
    })
    .await;
    assert!(
        package.exists(),
        "a file is removed before the backup has it"
    );
    drop(collecting);
    deleting.await.unwrap().unwrap();
    assert!(!package.exists());
}

#[tokio::test]
async fn backup_keeps_uploads_of_running_and_accepted_attempts() {
    let mut server = TestServer::start(pair).await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims_build_of("libgreet").await;
    job.starts().await;
    let packages = job.makes_and_uploads().await;
    let copy = server.scratch("backups").join("first");
    backup(&server.data(), &copy).await.unwrap();
    // What the worker did afterwards is unknown to the restored server, so it reports again.
    job.reports(&reported(&packages)).await.unwrap();
    let outcome = restart_from(&mut server, &copy).await;
    assert_eq!(outcome.findings, []);
    let status = server.build("bump", "libgreet").await.status;
    assert_eq!(status, BuildStatus::Building);
    let worker = worker.at_server(server.url());
    let job = worker.job(job.claimed);
    job.reports(&reported(&packages)).await.unwrap();
    worker.builds("greet").await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn reports_packages_that_are_lost_or_damaged() {
    let server = finished().await;
    let folder = server.scratch("backups");
    let package = "repos/bump/1/x86_64/libgreet-2.0-1-x86_64.pkg.tar.zst";

    let damaged = folder.join("damaged");
    backup(&server.data(), &damaged).await.unwrap();
    let size = damaged.join(package).metadata().unwrap().len();
    // A new file: the old one is that of the server.
    fs_err::remove_file(damaged.join(package)).unwrap();
    fs_err::write(
        damaged.join(package),
        vec![0; usize::try_from(size).unwrap()],
    )
    .unwrap();
    let outcome = restored(&damaged, &folder.join("a")).await;
    let texts: Vec<String> = outcome.findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("another digest"), "{texts:?}");

    fs_err::remove_file(server.data().join(package)).unwrap();
    let lost = folder.join("lost");
    let summary = backup(&server.data(), &lost).await.unwrap();
    assert_eq!(summary.lost, [PathBuf::from(package)]);
    let outcome = restored(&lost, &folder.join("b")).await;
    let texts: Vec<String> = outcome.findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("is missing"), "{texts:?}");
}

#[tokio::test]
async fn backup_overwrites_nothing_and_removes_leftovers() {
    let server = finished().await;
    let (data, folder) = (server.data(), server.scratch("backups"));
    let (copy, other) = (folder.join("first"), folder.join("other"));
    // Left by a backup that was killed.
    let leftover = data.join("backup/abc/repos");
    fs_err::create_dir_all(&leftover).unwrap();
    backup(&data, &copy).await.unwrap();
    assert!(!leftover.exists());
    for (data, target, part) in [
        (data.as_path(), copy.as_path(), "already exists"),
        (data.as_path(), folder.as_path(), "already exists"),
        (Path::new("/nonexistent"), other.as_path(), "--data-dir"),
        (
            data.as_path(),
            Path::new("/nonexistent/copy"),
            "the folder `/nonexistent` does not exist",
        ),
    ] {
        let error = format!("{:#}", backup(data, target).await.unwrap_err());
        assert!(error.contains(part), "{error}");
    }
    let held = fs_err::File::open(data.join("backup")).unwrap();
    held.try_lock().unwrap();
    let error = backup(&data, &other).await.unwrap_err();
    assert!(error.to_string().contains("another backup"), "{error:#}");
    let left = fs_err::read_dir(&folder).unwrap().count();
    assert_eq!(left, 1, "failed backups leave something");
}

#[tokio::test]
async fn backup_stays_out_of_the_data_folder() {
    let server = finished().await;
    let (data, folder) = (server.data(), server.scratch("backups"));
    let link = folder.join("link");
    std::os::unix::fs::symlink(data.join("repos/bump"), &link).unwrap();
    for target in [data.join("backup/tue"), data.join("tue"), link.join("mine")] {
        let error = backup(&data, &target).await.unwrap_err().to_string();
        assert!(error.contains("is inside the data folder"), "{error}");
        assert!(!target.exists());
    }
}

#[tokio::test]
async fn interrupted_backup_leaves_nothing() {
    let server = finished().await;
    let (data, folder) = (server.data(), server.scratch("backups"));
    let paused = Repos::new(&data).unwrap().pause_removals().unwrap();
    let (stop, target) = (CancellationToken::new(), folder.join("copy"));
    let backing_up = tokio::spawn({
        let (data, stop) = (data.clone(), stop.clone());
        async move { backup::backup(&data, &target, &stop).await }
    });
    let count = |folder: &Path| fs_err::read_dir(folder).map_or(0, Iterator::count);
    let staging = data.join("backup");
    eventually("the backup has begun", async || {
        (count(&folder) == 1 && count(&staging) == 1).then_some(())
    })
    .await;
    stop.cancel();
    let error = backing_up.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("the backup was interrupted"), "{error}");
    assert_eq!((count(&folder), count(&staging)), (0, 0));
    let written = backup_to(&data, std::io::sink(), &stop).await;
    let error = written.unwrap_err().to_string();
    assert!(error.contains("the backup was interrupted"), "{error}");
    assert_eq!(count(&staging), 0);
    drop(paused);
}

#[tokio::test]
async fn backup_and_restore_by_root_leave_everything_to_the_owner_of_the_folder() {
    let mut server = finished().await;
    let copy = server.scratch("backups").join("copy");
    server.stop().await;
    let data = server.data();
    // Created again by every backup.
    for name in ["trash", "staging"] {
        fs_err::remove_dir(data.join(name)).unwrap();
    }
    if !give_away(&data) {
        return;
    }
    backup(&data, &copy).await.unwrap();
    assert_eq!(foreign(&data, Depth::All).unwrap(), []);
    // As the state folder of a service whose user exists only while it runs.
    let state = server.scratch("state");
    give_away(&state);
    let outcome = restored(&copy, &state).await;
    assert_eq!(outcome.findings, []);
    assert_eq!(foreign(&state, Depth::All).unwrap(), []);
    let owner = Owner::of(&state.join(DATABASE_FILE)).unwrap();
    assert_eq!(owner, Owner::of(&state).unwrap());
}

#[tokio::test]
async fn interrupted_restore_is_not_used_and_starts_over() {
    let mut server = finished().await;
    let copy = server.scratch("backups").join("copy");
    backup(&server.data(), &copy).await.unwrap();
    server.stop().await;
    let (arguments, data) = (server.arguments(), server.data());
    fs_err::rename(&data, server.scratch("old").join("data")).unwrap();
    // As a killed restore leaves it.
    fs_err::create_dir_all(data.join("repos/bump/9/x86_64")).unwrap();
    fs_err::copy(copy.join(DATABASE_FILE), data.join(RESTORING_FILE)).unwrap();
    let started = start_server(&arguments, CancellationToken::new()).await;
    let error = started.err().unwrap().to_string();
    assert!(error.contains("was interrupted"), "{error}");
    let checked = check(&data, Options::default()).await.unwrap_err();
    let backed_up = backup(&data, &copy.join("new")).await.unwrap_err();
    for error in [checked, backed_up] {
        assert!(error.to_string().contains("run it again"), "{error}");
    }
    let inside = refused(&data.join("repos"), &data).await;
    assert!(inside.contains("is inside the data folder"), "{inside}");
    assert!(data.join("repos/bump/9").exists());
    let outcome = restored(&copy, &data).await;
    assert!(!data.join("repos/bump/9").exists());
    assert!(!data.join(RESTORING_FILE).exists());
    expect_clean(&outcome, &data).await;
}

#[tokio::test]
async fn restore_rejects_used_folders_and_incomplete_backups() {
    let server = finished().await;
    let folder = server.scratch("backups");
    let (copy, tar) = (folder.join("copy"), folder.join("backup.tar"));
    backup(&server.data(), &copy).await.unwrap();
    archive(&server.data(), &tar).await;
    let data = folder.join("data");
    let error = refused(&copy, &server.data()).await;
    assert!(error.contains("is not empty"), "{error}");

    let cut = folder.join("cut.tar");
    let bytes = fs_err::read(&tar).unwrap();
    fs_err::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let database = folder.join("copy.sqlite3");
    fs_err::copy(copy.join(DATABASE_FILE), &database).unwrap();
    let log = fs_err::read_dir(copy.join("logs")).unwrap().next().unwrap();
    fs_err::remove_file(log.unwrap().path()).unwrap();
    fs_err::create_dir(folder.join("empty")).unwrap();
    for (source, part) in [
        (&cut, ""),
        (&copy, "the backup is incomplete"),
        (&database, "it is not a tar archive"),
        (&folder.join("empty"), "is not a backup"),
        (&folder.join("nowhere"), "cannot open the backup"),
    ] {
        let error = refused(source, &data).await;
        assert!(error.contains(part), "{}: {error}", source.display());
        let left = match fs_err::read_dir(&data) {
            Ok(entries) => entries.count(),
            Err(_) => 0,
        };
        assert_eq!(left, 0, "{}: files are left", source.display());
    }
    let damaged = folder.join("damaged");
    backup(&server.data(), &damaged).await.unwrap();
    let database = damaged.join(DATABASE_FILE);
    let mut bytes = fs_err::read(&database).unwrap();
    for byte in bytes.iter_mut().skip(4096 + 100) {
        *byte = byte.wrapping_add(17);
    }
    fs_err::write(&database, bytes).unwrap();
    let error = refused(&damaged, &data).await;
    let (message, hint) = error.split_once('\n').unwrap();
    assert!(
        message.contains("database of the backup is damaged"),
        "{error}"
    );
    assert_eq!(hint, "hint: restore another backup");
    let error = refused(&copy, &tar).await;
    assert!(error.contains("backup.tar` is not a folder"), "{error}");
    let error = backup(&tar, &folder.join("new")).await.unwrap_err();
    assert!(error.to_string().contains("is not a folder"), "{error}");
    // The folder can still be used, also if it is the root of a new file system.
    fs_err::create_dir_all(data.join("lost+found")).unwrap();
    let outcome = restored(&tar, &data).await;
    expect_clean(&outcome, &data).await;
}
