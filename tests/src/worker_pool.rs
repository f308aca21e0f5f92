//! Many workers in one process, which only use the API and send tiny real packages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use buildbtw_builder::BuiltPackage;
use buildbtw_model::api::{
    ClaimRequest, ClaimedBuild, CreateNamespace, FollowDefault, Outcome, ReportedPackage,
};
use buildbtw_model::client::{Backoff, Client, ClientError, retry};
use buildbtw_model::{ClaimId, EventId, EventKind, IterationStatus, Pkgbase, Priority, Scope};
use buildbtw_package::TinyPackage;

pub async fn create(client: &Client, changeset: &str, name: &str) {
    let request = CreateNamespace {
        changesets: vec![changeset.parse().unwrap()],
        name: Some(name.parse().unwrap()),
        scope: Scope::Transitive,
        max_builds: Some(100_000),
        no_bump: false,
        network: None,
        include: Vec::new(),
        exclude: Vec::new(),
        bootstrap: Vec::new(),
        same_sonames: false,
        follow_default: FollowDefault::Never,
        priority: Priority::Normal,
    };
    client.create_namespace(&request).await.unwrap();
}

/// Waits for the end of the rebuild.
pub async fn done(client: &Client, name: &str) {
    let mut events = client
        .events(&name.parse().unwrap(), Some(EventId(0)))
        .await
        .unwrap();
    while let Some(event) = events.next().await.unwrap() {
        if event.kind == EventKind::Iteration(IterationStatus::Done) {
            return;
        }
    }
    panic!("the event stream of {name} ended");
}

/// Repeats a request until it succeeds, like workers: a server with thousands of requests rejects some as overload, or
/// does not respond within the client's timeout of a minute.
pub async fn persist<T, F>(request: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, ClientError>>,
{
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    retry(backoff, |_, _| {}, request).await.unwrap()
}

pub async fn claim(client: &Client, worker: &str, wait_s: u32) -> Option<ClaimedBuild> {
    let request = ClaimRequest {
        claim: ClaimId::new(),
        worker: worker.parse().unwrap(),
        architectures: vec!["x86_64".parse().unwrap()],
        jobs: 1,
        protocols: Vec::new(),
        machine: None,
        load: None,
        wait_s,
    };
    persist(|| client.claim(&request)).await
}

pub async fn report(client: &Client, build: &ClaimedBuild, packages: Vec<ReportedPackage>) {
    let outcome = Outcome::Succeeded { packages };
    persist(|| client.report_outcome(build.attempt, &outcome)).await;
}

/// The times of the reports and of the claims.
#[derive(Default)]
pub struct Times {
    pub reported: HashMap<Pkgbase, Instant>,
    pub claimed: HashMap<Pkgbase, Instant>,
}

/// Many workers, each with one build at a time.
pub struct WorkerPool {
    workers: Vec<tokio::task::JoinHandle<()>>,
    pub times: Arc<Mutex<Times>>,
}

impl WorkerPool {
    pub fn start(client: &Client, folder: &Path, count: usize, duration: Duration) -> Self {
        let packages = Arc::new(Packages::new(folder));
        let times = Arc::new(Mutex::new(Times::default()));
        let worker = |number: usize| {
            let (client, packages) = (client.clone(), Arc::clone(&packages));
            let times = Arc::clone(&times);
            tokio::spawn(async move {
                let name = format!("bench{number}");
                while let Some(build) = claim(&client, &name, 50).await {
                    let now = Instant::now();
                    let pkgbase = build.pkgbase.clone();
                    times.lock().unwrap().claimed.insert(pkgbase.clone(), now);
                    tokio::time::sleep(duration.mul_f64(spread(&build.pkgbase))).await;
                    let uploaded = packages.upload(&client, &build).await;
                    let now = Instant::now();
                    times.lock().unwrap().reported.insert(pkgbase, now);
                    report(&client, &build, uploaded).await;
                }
            })
        };
        Self {
            workers: (0..count).map(worker).collect(),
            times,
        }
    }

    /// Stops all workers, and returns how many builds they reported.
    pub fn stop_all(self) -> usize {
        for worker in self.workers {
            worker.abort();
        }
        self.times.lock().unwrap().reported.len()
    }
}

/// Returns a factor between 0.5 and 1.5, 1 on average, so that builds do not end simultaneously.
fn spread(pkgbase: &Pkgbase) -> f64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    pkgbase.as_str().hash(&mut hasher);
    let hash = hasher.finish();
    0.5 + (hash >> 8 & 0xffff) as f64 / 65_536.0
}

/// Creates and uploads tiny packages.
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.join("packages"),
        }
    }

    async fn make(&self, build: &ClaimedBuild) -> Vec<BuiltPackage> {
        let folder = self.folder.join(build.attempt.to_string());
        let packages = TinyPackage::all_of(build, 0);
        let write = move || {
            std::fs::create_dir_all(&folder).unwrap();
            let written = packages
                .iter()
                .map(|package| BuiltPackage::write(package, &folder));
            written.collect::<Result<_, _>>().unwrap()
        };
        tokio::task::spawn_blocking(write).await.unwrap()
    }

    pub async fn upload(&self, client: &Client, build: &ClaimedBuild) -> Vec<ReportedPackage> {
        let mut reported = Vec::new();
        for package in self.make(build).await {
            persist(|| {
                client.upload_package(
                    build.attempt,
                    &package.file_name,
                    &package.sha256,
                    &package.path,
                )
            })
            .await;
            reported.push(ReportedPackage {
                file_name: package.file_name,
                sha256: package.sha256,
            });
        }
        reported
    }
}
