//! How long a server needs to have the package index in memory: from the database file of a whole
//! distribution, as at every start. Prints figures; asserts nothing about time.
//!
//! `cargo bench -p buildbtw-server --bench index`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a failure here is a broken benchmark, and its figures are what it prints"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buildbtw_model::{CommitTime, Scope, Sha256Digest};
use buildbtw_planner::{PackageIndex, PlanRequest, SourcePackage, parse_srcinfo, plan};
use buildbtw_server::db::source_repositories::{self, SourceRepositoryRow};
use buildbtw_server::db::srcinfos::{self, SrcinfoRow};
use buildbtw_server::db::{Database, WriteTransaction};
use buildbtw_server::sources::{self, PARSER, SourceConfig};
use buildbtw_server::time::{Clock, Millis};
use sha2::{Digest as _, Sha256};

#[path = "../../crates/planner/tests/it/generate.rs"]
#[allow(dead_code, reason = "the planner's benchmarks use the rest")]
mod generate;

const RUNS: usize = 7;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(texts) = generate::corpus("archlinuxcn") {
        worst_plan(&texts);
        runtime.block_on(load("archlinuxcn", &texts));
    }
    for size in [15_000, 35_000] {
        let label = format!("{size} packages");
        runtime.block_on(load(&label, &generate::texts(size)));
    }
}

/// Stores the distribution as a scan does, then loads it again and again.
async fn load(label: &str, texts: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    // Records where the sources come from: rows of another place would be discarded.
    load_once(folder.path()).await;
    let database = Database::open(&folder.path().join("buildbtw.sqlite3"), Clock::default())
        .await
        .unwrap();
    let mut tx = database.write().await.unwrap();
    for (at, text) in texts.iter().enumerate() {
        if let Ok(package) = parse_srcinfo(text) {
            store(&mut tx, at, text, &package).await;
        }
    }
    tx.commit().await.unwrap();
    database.close().await;

    let mut times = Vec::with_capacity(RUNS);
    let mut packages = 0;
    for _ in 0..RUNS {
        let (time, found) = load_once(folder.path()).await;
        times.push(time);
        packages = found;
    }
    times.sort();
    assert!(packages > 0, "the packages were not stored");
    println!(
        "index of {label} from the database: median {:.0?}, least {:.0?} ({packages} packages)",
        times[RUNS / 2],
        times[0],
    );
}

async fn load_once(folder: &Path) -> (Duration, usize) {
    let started = Instant::now();
    let database = Database::open(&folder.join("buildbtw.sqlite3"), Clock::default())
        .await
        .unwrap();
    let (events, _listener) = tokio::sync::mpsc::unbounded_channel();
    let config = SourceConfig::Directory {
        clone_base: None,
        folder: folder.to_owned(),
        resync_interval: Duration::MAX,
    };
    let (sources, _) = sources::load(database.clone(), config, events)
        .await
        .unwrap();
    let time = started.elapsed();
    let packages = sources.with_catalog(|catalog| catalog.index().len());
    database.close().await;
    (time, packages)
}

async fn store(tx: &mut WriteTransaction, at: usize, text: &str, package: &SourcePackage) {
    let sha256 = Sha256Digest::from_bytes(&Sha256::digest(text.as_bytes()).into());
    let row = SrcinfoRow {
        sha256: sha256.clone(),
        text: text.to_owned(),
        parsed: package.as_stored().to_owned(),
        parser: PARSER,
    };
    srcinfos::put(tx, &row).await.unwrap();
    let row = SourceRepositoryRow {
        path: format!("{}-{at}", package.pkgbase()),
        pkgbase: Some(package.pkgbase().clone()),
        branch: Some("main".to_owned()),
        commit: Some(format!("{at:040x}").parse().unwrap()),
        tree: None,
        commit_time: Some(CommitTime(1_700_000_000)),
        srcinfo_sha256: Some(sha256),
        problem: None,
        changed_at: Millis(1_700_000_000),
        project_id: None,
        http_url: None,
        ssh_url: None,
    };
    // Corpora name a few packages twice; a scan would call the second one broken.
    let _ = source_repositories::put(tx, None, &row).await;
}

/// Measures the plan that builds most, of all packages as origin.
fn worst_plan(texts: &[String]) {
    let packages = texts.iter().filter_map(|text| parse_srcinfo(text).ok());
    let packages: Vec<Arc<SourcePackage>> = packages.map(Arc::new).collect();
    let mut index = PackageIndex::new();
    for package in &packages {
        index.insert(Arc::clone(package));
    }
    let mut worst = (Duration::ZERO, 0);
    for origin in &packages {
        let origins = vec![Arc::clone(origin)];
        let request = PlanRequest::new("x86_64".parse().unwrap(), origins, Scope::All);
        let started = Instant::now();
        let builds = plan(&index, &request).builds.len();
        worst = worst.max((started.elapsed(), builds));
    }
    println!(
        "slowest plan of archlinuxcn, every package as origin, scope all: {:.2?} ({} builds, {} packages)",
        worst.0,
        worst.1,
        index.len(),
    );
}
