//! How long it takes from the report of a dependency to its dependent in a worker's hands, and how
//! many builds a second one server gets through. Prints figures; asserts nothing about time.
//!
//! The server is a process of its own, the workers are clients in this one that send tiny real
//! packages. `just bench` compiles the server first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a failure here is a broken benchmark, and its figures are what it prints"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use buildbtw_builder::{
    BuildOutcome, BuildRequest, Builder, BuiltPackage, SimulatedConfig, SimulatedDuration, Source,
};
use buildbtw_model::api::{
    ClaimRequest, ClaimedBuild, CreateNamespace, FollowDefault, Outcome, ReportedPackage,
};
use buildbtw_model::client::Client;
use buildbtw_model::{ClaimId, NamespaceName, Scope};
use buildbtw_tests::{Server, Sources};
use tokio_util::sync::CancellationToken;

/// The length of the chain, and so the number of measured hand-overs.
const CHAIN: usize = 300;
/// How many packages depend on one.
const FAN: usize = 2_000;
const FAN_WORKERS: usize = 50;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        chain().await;
        fan_out().await;
    });
}

/// One worker with two slots in a chain: a claim waits while the dependency is built.
async fn chain() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::with_a_chain(folder.path(), CHAIN + 1);
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let client = server.client();
    let packages = Packages::new(folder.path());
    let started = Instant::now();
    create(&client, "p0/main", "chain").await;
    let mut current = claim(&client).await;
    let first = started.elapsed();
    let mut latencies = Vec::with_capacity(CHAIN);
    for _ in 0..CHAIN {
        let packages = packages.upload(&client, &current).await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { claim(&client).await }
        });
        // The claim is at the server before the report: any answer to a later request says so.
        client.heartbeat(current.attempt).await.unwrap();
        let reported = Instant::now();
        report(&client, &current, packages).await;
        current = waiting.await.unwrap();
        latencies.push(reported.elapsed());
    }
    latencies.sort();
    println!("new -> first build in hand        {first:.2?}");
    println!(
        "outcome -> dependent in hand      median {:.2?}, p99 {:.2?}, max {:.2?} ({CHAIN} hand-overs)",
        latencies[CHAIN / 2],
        latencies[CHAIN * 99 / 100],
        latencies[CHAIN - 1]
    );
}

/// Many workers, and builds that wait for nothing but the first.
async fn fan_out() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources::new(folder.path());
    for number in 0..=FAN {
        let mut text =
            format!("pkgbase = f{number}\n\tpkgver = 1\n\tpkgrel = 1\n\tarch = x86_64\n");
        if number > 0 {
            text.push_str("\tdepends = f0\n");
        }
        let _ = write!(text, "\npkgname = f{number}\n");
        sources.commit_text(&format!("f{number}"), &text);
    }
    let server = Server::start_with_lease(folder.path(), &sources, 60);
    let client = server.client();
    let packages = Arc::new(Packages::new(folder.path()));
    create(&client, "f0/main", "fan").await;
    let first = claim(&client).await;
    let uploaded = packages.upload(&client, &first).await;
    report(&client, &first, uploaded).await;
    let started = Instant::now();
    let workers: Vec<_> = (0..FAN_WORKERS)
        .map(|_| {
            let (client, packages) = (client.clone(), Arc::clone(&packages));
            tokio::spawn(async move {
                let mut built = 0;
                while let Some(build) = try_claim(&client, 1).await {
                    let uploaded = packages.upload(&client, &build).await;
                    report(&client, &build, uploaded).await;
                    built += 1;
                }
                built
            })
        })
        .collect();
    let mut built = 0;
    let namespace: NamespaceName = "fan".parse().unwrap();
    let mut events = client.events(&namespace, Some(0)).await.unwrap();
    while let Some(event) = events.next().await.unwrap() {
        if event.kind == "iteration.done" {
            break;
        }
    }
    let elapsed = started.elapsed();
    for worker in workers {
        built += worker.await.unwrap();
    }
    println!(
        "{built} builds, {FAN_WORKERS} workers          {:.0} builds/s ({elapsed:.2?})",
        f64::from(built) / elapsed.as_secs_f64()
    );
    if let Ok(database) = std::fs::metadata(server.data().join("buildbtw.sqlite3")) {
        println!(
            "database afterwards               {:.1} MiB",
            database.len() as f64 / 1048576.0
        );
    }
}

async fn create(client: &Client, changeset: &str, name: &str) {
    let request = CreateNamespace {
        changesets: vec![changeset.parse().unwrap()],
        name: Some(name.parse().unwrap()),
        scope: Scope::Transitive,
        max_builds: Some(100_000),
        no_bump: false,
        include: Vec::new(),
        exclude: Vec::new(),
        follow_default: FollowDefault::Never,
    };
    client.create_namespace(&request).await.unwrap();
}

async fn try_claim(client: &Client, wait_s: u32) -> Option<ClaimedBuild> {
    let request = ClaimRequest {
        claim: ClaimId::new(),
        worker: "bench".parse().unwrap(),
        architectures: vec!["x86_64".parse().unwrap()],
        jobs: 1,
        wait_s,
    };
    client.claim(&request).await.unwrap()
}

async fn claim(client: &Client) -> ClaimedBuild {
    try_claim(client, 50).await.expect("a build comes up")
}

async fn report(client: &Client, build: &ClaimedBuild, packages: Vec<ReportedPackage>) {
    client
        .report_outcome(build.attempt, &Outcome::Succeeded { packages })
        .await
        .unwrap();
}

/// Makes and uploads tiny packages.
struct Packages {
    builder: Builder,
    folder: PathBuf,
}

impl Packages {
    fn new(folder: &Path) -> Self {
        let config = SimulatedConfig {
            duration: SimulatedDuration::Fixed(Duration::ZERO),
            ..SimulatedConfig::default()
        };
        Self {
            builder: Builder::simulated(config),
            folder: folder.join("packages"),
        }
    }

    async fn make(&self, build: &ClaimedBuild) -> Vec<BuiltPackage> {
        let folder = self.folder.join(build.attempt.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let mut request = BuildRequest::new(
            build.pkgbase.clone(),
            build.architecture.clone(),
            Source::Directory(folder.clone()),
        );
        request.version = Some(build.version.clone());
        request.packages = build
            .packages
            .iter()
            .map(|package| buildbtw_builder::ExpectedPackage {
                name: package.name.clone(),
                architecture: package.architecture.clone(),
            })
            .collect();
        let log = |_: &[u8]| {};
        match self
            .builder
            .build(&request, &folder, &log, CancellationToken::new())
            .await
        {
            BuildOutcome::Succeeded { packages, .. } => packages,
            BuildOutcome::Failed { message, .. } => panic!("{message}"),
        }
    }

    async fn upload(&self, client: &Client, build: &ClaimedBuild) -> Vec<ReportedPackage> {
        let mut reported = Vec::new();
        for package in self.make(build).await {
            client
                .upload_package(
                    build.attempt,
                    &package.file_name,
                    &package.sha256,
                    &package.path,
                )
                .await
                .unwrap();
            reported.push(ReportedPackage {
                file_name: package.file_name,
                sha256: package.sha256,
            });
        }
        reported
    }
}
