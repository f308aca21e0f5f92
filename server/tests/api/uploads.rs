//! Uploads of packages: accepted ones, and rejected ones, which leave nothing behind.

use buildbtw_builder::BuiltPackage;
use buildbtw_model::api::{Problem, ProblemKind};
use buildbtw_model::{IterationStatus, PackageFileName, Sha256Digest};
use bytes::Bytes;
use reqwest::{Method, Response};
use sha2::Digest as _;

use crate::support::{
    FakeWorker, Job, Repository, ServerOptions, Srcinfo, TestServer, expect_problem, make_package,
    make_package_of, parse, refusal, reported,
};

/// Starts a server where a worker has started to build `libgreet`.
pub(crate) async fn building() -> (TestServer, FakeWorker, Job) {
    building_with(ServerOptions::default()).await
}

async fn building_with(options: ServerOptions) -> (TestServer, FakeWorker, Job) {
    let server = TestServer::start_with(options, |sources| {
        let library = Srcinfo::new("libgreet", "2.0-1");
        sources.push(&library.pkgname("libgreet").pkgname("greet-tools"));
    })
    .await;
    server.namespace("bump", &["libgreet/main"]).await;
    let worker = server.worker("w").await;
    let job = worker.claims().await;
    job.starts().await;
    (server, worker, job)
}

fn unexpected(problem: &Problem) {
    assert_eq!(
        (problem.status, problem.kind),
        (422, ProblemKind::UnexpectedPackage),
        "{problem:?}"
    );
}

/// Returns the files of an attempt's uploads that are left on disk.
pub(crate) fn leftover_uploads(server: &TestServer, job: &Job) -> Vec<String> {
    let folder = server
        .data()
        .join("uploads")
        .join(job.claimed.attempt.to_string());
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest::from_bytes(&sha2::Sha256::digest(bytes).into())
}

/// Uploads any bytes under any name.
async fn send(
    server: &TestServer,
    worker: &FakeWorker,
    job: &Job,
    name: &str,
    bytes: impl Into<reqwest::Body>,
    sha256: &str,
) -> Response {
    let path = format!("/api/v1/attempts/{}/packages/{name}", job.claimed.attempt);
    server
        .request(Method::PUT, &path)
        .query(&[("sha256", sha256)])
        .bearer_auth(&worker.token)
        .body(bytes)
        .send()
        .await
        .unwrap()
}

pub(crate) async fn upload_package_file(
    server: &TestServer,
    worker: &FakeWorker,
    job: &Job,
    name: &str,
    bytes: &[u8],
) -> Response {
    send(
        server,
        worker,
        job,
        name,
        bytes.to_vec(),
        digest(bytes).as_str(),
    )
    .await
}

#[tokio::test]
async fn rejects_upload_with_wrong_digest() {
    let (server, _, job) = building().await;
    let packages = job.create_packages().await;
    let wrong = BuiltPackage {
        sha256: digest(b"something else"),
        ..packages[0].clone()
    };
    let problem = refusal(job.uploads(&wrong).await);
    assert_eq!(
        (problem.status, problem.kind),
        (422, ProblemKind::ChecksumMismatch)
    );
    let detail = problem.detail.unwrap();
    assert!(detail.contains(packages[0].sha256.as_str()), "{detail}");
    assert!(leftover_uploads(&server, &job).is_empty());

    for package in &packages {
        let uploaded = job.uploads(package).await.unwrap();
        assert_eq!(uploaded.size, package.size);
        assert_eq!(uploaded.sha256, package.sha256);
    }
    job.reports(&reported(&packages)).await.unwrap();
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn rejects_packages_not_expected_from_the_build() {
    let (server, _, job) = building().await;
    let names = [
        ("glibc", "2.0-1", "x86_64"),
        ("libgreet", "2.0-1", "aarch64"),
        ("libgreet", "2.0-1", "any"),
        ("greet-tools-docs", "2.0-1", "x86_64"),
    ];
    for (name, version, architecture) in names {
        let package = make_package(name, version, architecture, job.folder());
        let problem = refusal(job.uploads(&package).await);
        unexpected(&problem);
        assert!(
            problem.title.contains(package.file_name.as_str()),
            "{problem:?}"
        );
    }
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn rejects_package_of_another_pkgbase() {
    let (_server, _, job) = building().await;
    let package = make_package_of("other", "libgreet", "2.0-1", "x86_64", job.folder());
    let problem = refusal(job.uploads(&package).await);
    unexpected(&problem);
    let detail = problem.detail.unwrap();
    assert!(detail.contains("pkgbase = other"), "{detail}");
}

#[tokio::test]
async fn frees_uploads_of_failed_attempt_immediately() {
    let (server, _, job) = building().await;
    job.makes_and_uploads().await;
    job.fails(buildbtw_model::FailureKind::Package, "too late")
        .await;
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn accepts_debug_packages() {
    let (server, _, job) = building().await;
    let mut packages = job.makes_and_uploads().await;
    let debug = make_package_of(
        "libgreet",
        "libgreet-debug",
        "2.0-1",
        "x86_64",
        job.folder(),
    );
    job.uploads(&debug).await.unwrap();
    packages.push(debug);
    job.reports(&reported(&packages)).await.unwrap();
    let lists = Repository::new(server.url(), "bump", "1", "x86_64")
        .lists()
        .await;
    assert_eq!(
        lists,
        [
            "greet-tools-2.0-1",
            "libgreet-2.0-1",
            "libgreet-debug-2.0-1"
        ]
    );
}

#[tokio::test]
async fn rejects_package_that_contradicts_its_file_name() {
    let (server, _, job) = building().await;
    let honest: PackageFileName = parse("libgreet-2.0-1-x86_64.pkg.tar.zst");
    let liars = [
        ("glibc", "2.0-1", "x86_64", "pkgname"),
        ("libgreet", "2.0-2", "x86_64", "pkgver"),
        ("libgreet", "2.0-1", "any", "arch"),
    ];
    for (name, version, architecture, field) in liars {
        let package = make_package(name, version, architecture, job.folder());
        let problem = refusal(job.uploads_as(&honest, &package).await);
        unexpected(&problem);
        let detail = problem.detail.unwrap();
        assert!(
            detail.contains(field) && detail.contains("file name"),
            "{detail}"
        );
    }
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn rejects_files_that_are_not_packages() {
    let (server, worker, job) = building().await;
    let name = "libgreet-2.0-1-x86_64.pkg.tar.zst";
    let archive = |path: &str, content: &[u8]| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Set directly: the library would not allow a path above its own.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, content).unwrap();
        zstd::bulk::compress(&tar.into_inner().unwrap(), 1).unwrap()
    };
    let mut cut = zstd::bulk::compress(&[7; 100_000], 1).unwrap();
    cut.truncate(20);
    let no_packages: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("text", b"this is not a package".to_vec()),
        ("a broken archive", cut),
        ("an archive of something else", archive("README", b"hello")),
        (
            "an archive that climbs",
            archive("../../etc/passwd", b"root::0:0"),
        ),
        (
            "metadata in bytes",
            archive(".PKGINFO", &[0xff, 0xfe, b'=', 0xff]),
        ),
    ];
    for (what, bytes) in &no_packages {
        let response = upload_package_file(&server, &worker, &job, name, bytes).await;
        let problem = expect_problem(response, 422, ProblemKind::UnexpectedPackage).await;
        assert!(problem.detail.is_some(), "{what}: {problem:?}");
    }
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn rejects_malformed_file_names() {
    let (server, worker, job) = building().await;
    for name in [
        "..%2Flibgreet-2.0-1-x86_64.pkg.tar.zst",
        "..%2F..%2Fadmin-token",
        "%2Fetc%2Fpasswd",
        "libgreet",
        "libgreet-2.0-x86_64.pkg.tar.zst",
        "libgreet-2.0-1-x86_64.pkg.tar.zst%00",
        ".part",
    ] {
        let response = upload_package_file(&server, &worker, &job, name, b"x").await;
        expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    }
    // The client library resolves these two by itself, so they reach other routes.
    for name in ["../outcome", ".."] {
        let response = upload_package_file(&server, &worker, &job, name, b"x").await;
        assert!(response.status().is_client_error(), "{name}: {response:?}");
    }
    let name = "libgreet-2.0-1-x86_64.pkg.tar.zst";
    for sha256 in ["", "abc", &"X".repeat(64)] {
        let response = send(&server, &worker, &job, name, "x", sha256).await;
        expect_problem(response, 400, ProblemKind::InvalidRequest).await;
    }
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn rejects_packages_over_the_limit() {
    let options = ServerOptions {
        extra: vec!["--max-package-mib".into(), "1".into()],
        ..Default::default()
    };
    let (server, _, job) = building_with(options).await;
    let packages = job.makes_with_payload((1 << 20) + 100_000).await;
    let problem = refusal(job.uploads(&packages[0]).await);
    assert_eq!((problem.status, problem.kind), (413, ProblemKind::TooLarge));
    assert!(problem.title.contains("1 MiB"), "{problem:?}");
    assert!(leftover_uploads(&server, &job).is_empty());
    // A smaller one is accepted, although it exceeds the limit of a JSON body.
    let packages = job.makes_with_payload((1 << 20) - 100_000).await;
    job.uploads(&packages[0]).await.unwrap();
}

#[tokio::test]
async fn reports_reason_to_client_that_sends_far_too_much() {
    let options = ServerOptions {
        extra: vec!["--max-package-mib".into(), "1".into()],
        ..Default::default()
    };
    let (server, worker, job) = building_with(options).await;
    let name = "libgreet-2.0-1-x86_64.pkg.tar.zst";
    let zeros = "0".repeat(64);
    let sent = send(&server, &worker, &job, name, vec![0; 24 << 20], &zeros).await;
    expect_problem(sent, 413, ProblemKind::TooLarge).await;
}

#[tokio::test]
async fn discards_interrupted_upload_and_accepts_it_again() {
    let (server, worker, job) = building().await;
    let packages = job.create_packages().await;
    let bytes = fs_err::read(&packages[0].path).unwrap();
    let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
    let broken =
        futures_util::stream::iter([Ok(half), Err(std::io::Error::other("the cable was pulled"))]);
    let path = format!(
        "/api/v1/attempts/{}/packages/{}",
        job.claimed.attempt, packages[0].file_name
    );
    let sent = server
        .request(Method::PUT, &path)
        .query(&[("sha256", packages[0].sha256.as_str())])
        .bearer_auth(&worker.token)
        .body(reqwest::Body::wrap_stream(broken))
        .send()
        .await;
    assert!(sent.is_err());
    for package in &packages {
        job.uploads(package).await.unwrap();
    }
    job.reports(&reported(&packages)).await.unwrap();
    crate::support::eventually("nothing is left", async || {
        leftover_uploads(&server, &job).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn accepts_repeated_package_once() {
    let (server, worker, job) = building().await;
    let packages = job.makes_and_uploads().await;
    for package in &packages {
        let again = job.uploads(package).await.unwrap();
        assert_eq!(again.sha256, package.sha256);
        assert_eq!(again.size, package.size);
    }
    // An existing package is not even read again.
    let name = packages[0].file_name.as_str();
    let digest = packages[0].sha256.as_str();
    let response = send(&server, &worker, &job, name, "whatever", digest).await;
    assert!(response.status().is_success());
    let mut names = leftover_uploads(&server, &job);
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "greet-tools-2.0-1-x86_64.pkg.tar.zst",
            "libgreet-2.0-1-x86_64.pkg.tar.zst"
        ]
    );
    job.reports(&reported(&packages)).await.unwrap();
}

#[tokio::test]
async fn allows_replacing_a_package_until_the_outcome() {
    let (server, _, job) = building().await;
    job.makes_and_uploads().await;
    let better = job.makes_with_payload(5_000).await;
    for package in &better {
        job.uploads(package).await.unwrap();
    }
    job.reports(&reported(&better)).await.unwrap();
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    let served = repository.bytes(better[0].file_name.as_str()).await;
    assert_eq!(digest(&served), better[0].sha256);
}

#[tokio::test]
async fn accepts_concurrent_uploads_of_one_file() {
    let (server, _, job) = building().await;
    let packages = job.makes_with_payload(300_000).await;
    let all = (0..6).map(|_| job.uploads(&packages[0]));
    for uploaded in futures_util::future::join_all(all).await {
        assert_eq!(uploaded.unwrap().sha256, packages[0].sha256);
    }
    assert_eq!(
        leftover_uploads(&server, &job),
        [packages[0].file_name.as_str()]
    );
    job.uploads(&packages[1]).await.unwrap();
    job.reports(&reported(&packages)).await.unwrap();
    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    let served = repository.bytes(packages[0].file_name.as_str()).await;
    assert_eq!(digest(&served), packages[0].sha256);
}

#[tokio::test]
async fn rejects_uploads_after_the_attempt_ended() {
    let (server, _, job) = building().await;
    let packages = job.makes_and_uploads().await;
    job.reports(&reported(&packages)).await.unwrap();
    let other = job.makes_with_payload(5_000).await;
    let problem = refusal(job.uploads(&other[0]).await);
    assert_eq!(
        (problem.status, problem.kind),
        (409, ProblemKind::AttemptEnded)
    );
    assert!(leftover_uploads(&server, &job).is_empty());
}

#[tokio::test]
async fn discards_upload_overtaken_by_the_outcome() {
    let (server, worker, job) = building().await;
    let packages = job.makes_and_uploads().await;
    let first = fs_err::read(&packages[0].path).unwrap();
    // Another file of the same name is still being uploaded when the outcome is accepted.
    let other = job.makes_with_payload(5_000).await;
    let bytes = fs_err::read(&other[0].path).unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(1);
    let body = reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let path = format!(
        "/api/v1/attempts/{}/packages/{}",
        job.claimed.attempt, other[0].file_name
    );
    let request = server
        .request(Method::PUT, &path)
        .query(&[("sha256", other[0].sha256.as_str())])
        .bearer_auth(&worker.token)
        .body(body);
    let slow = tokio::spawn(request.send());
    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[..100])))
        .await
        .unwrap();
    crate::support::eventually("the slow upload begins", async || {
        let names = leftover_uploads(&server, &job);
        names.iter().any(|name| name.starts_with('.')).then_some(())
    })
    .await;
    job.reports(&reported(&packages)).await.unwrap();
    sender
        .send(Ok(Bytes::copy_from_slice(&bytes[100..])))
        .await
        .unwrap();
    drop(sender);
    let late = slow.await.unwrap().unwrap();
    expect_problem(late, 409, ProblemKind::AttemptEnded).await;

    let repository = Repository::new(server.url(), "bump", "1", "x86_64");
    assert_eq!(
        repository.bytes(packages[0].file_name.as_str()).await,
        first
    );
    let build = server.public().build(job.claimed.build).await.unwrap();
    let found = build
        .packages
        .iter()
        .find(|found| found.file_name == packages[0].file_name);
    assert_eq!(
        found.unwrap().sha256,
        packages[0].sha256,
        "the record was overwritten"
    );
}

#[tokio::test]
async fn rejects_reports_on_attempts_of_other_workers() {
    let (server, _, job) = building().await;
    let packages = job.create_packages().await;
    let thief = server.worker("thief").await;
    let admin = FakeWorker::new(server.url(), server.admin_token(), "w", &["x86_64"]);
    for other in [thief, admin] {
        let stolen = other.job(job.claimed.clone());
        let forbidden = |problem: Problem| {
            assert_eq!(
                (problem.status, problem.kind),
                (403, ProblemKind::Forbidden)
            );
        };
        forbidden(refusal(stolen.heartbeat().await));
        forbidden(refusal(stolen.logs(0, "mine").await));
        forbidden(refusal(stolen.uploads(&packages[0]).await));
        forbidden(refusal(stolen.reports(&reported(&packages)).await));
    }
    job.succeeds().await;
    server.expect_iteration("bump", IterationStatus::Done).await;
}

#[tokio::test]
async fn returns_404_for_unknown_attempts() {
    let (server, worker, job) = building().await;
    let packages = job.create_packages().await;
    let mut claimed = job.claimed.clone();
    claimed.attempt = buildbtw_model::AttemptId::new();
    let ghost = worker.job(claimed);
    for problem in [
        refusal(ghost.heartbeat().await),
        refusal(ghost.logs(0, "boo").await),
        refusal(ghost.uploads(&packages[0]).await),
        refusal(ghost.reports(&reported(&packages)).await),
    ] {
        assert_eq!((problem.status, problem.kind), (404, ProblemKind::NotFound));
    }
    drop(server);
}
