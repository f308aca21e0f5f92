//! What unit tests need: parts for use cases, and a state for actors. No server, socket or background task runs.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use buildbtw_model::{AttemptId, AttemptStatus, BuildId, PipelineId, ProjectId};
use clap::Parser as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::admission::Limits;
use crate::cli::{Cli, Command, RunArgs};
use crate::config::Config;
use crate::db::Database;
use crate::db::pipelines::PipelineRow;
use crate::disk::Disk;
use crate::error::Error;
use crate::repos::base::BaseRepositories;
use crate::sources;
use crate::state::replans::Replans;
use crate::state::{AppState, CoreParts, Parts};
use crate::time::{Clock, Millis};

/// Returns a manual clock, and its time in milliseconds.
pub(crate) fn settable() -> (Arc<AtomicI64>, Clock) {
    let time = Arc::new(AtomicI64::new(1_000));
    let shared = Arc::clone(&time);
    let clock = Clock::from_fn(move || Millis(shared.load(Ordering::Relaxed)));
    (time, clock)
}

/// Returns the arguments of a server with sources in this folder.
fn arguments(folder: &Path) -> RunArgs {
    let folder = folder.to_str().unwrap();
    let arguments = ["buildbtw-server", "run", "--sources-dir", folder];
    match Cli::try_parse_from(arguments).unwrap().command {
        Command::Run(args) => *args,
        _ => unreachable!("these are the arguments of a server"),
    }
}

/// Returns the default settings.
pub(crate) fn config(folder: &Path) -> Config {
    let args = arguments(folder);
    args.config(args.listen, None).unwrap()
}

/// Opens a new database in a folder.
pub(crate) async fn open_database(folder: &Path, clock: Clock) -> Database {
    let path = folder.join("db.sqlite3");
    Database::open(&path, clock).await.unwrap()
}

/// A state with an empty folder of sources. No actor serves its queues.
pub(crate) struct TestState {
    pub(crate) state: AppState,
    _folder: TempDir,
}

/// Creates a namespace whose row cannot be read: a failure of the database that ends with its name.
pub(crate) const UNREADABLE_NAMESPACE: &str = "insert into namespace
    (id, name, scope, max_builds, bump, follow_default_s, created_at)
    values (1, 'Not a name', 'transitive', 1, 1, 3600, 1)";

/// The rows of [`TestState::with_a_build`]. The digest of its `.SRCINFO` is all zeros.
const BUILD_ROWS: [&str; 5] = [
    "insert into token values (1, 't', 'worker', x'00', 1, null, null)",
    "insert into srcinfo (sha256, parser, parsed, text) values (printf('%064d', 0), 1, '', '')",
    "insert into namespace (id, name, scope, max_builds, bump, created_at)
     values (1, 'n', 'transitive', 10, 1, 1)",
    "insert into iteration (id, namespace_id, number, status, reason, created_at)
     values (1, 1, 1, 'running', 'r', 1)",
    "insert into build (id, iteration_id, architecture, pkgbase, stage, level, position, commit_hash,
         commit_time, clone_url, srcinfo_sha256, version, reason, estimate_s, priority_s, status,
         missing_dependencies)
     values (1, 1, 'x86_64', 'first', 1, 0, 0, printf('%040d', 0), 1, 'u', printf('%064d', 0), '1-1',
         'first', 1, 1, 'building', 0)",
];

impl Deref for TestState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.state
    }
}

impl TestState {
    pub(crate) async fn new() -> Self {
        Self::at(Clock::default()).await
    }

    /// Creates a state with a token, a namespace, an iteration and a build that is being built; the id of each is 1.
    pub(crate) async fn with_a_build() -> Self {
        let state = Self::new().await;
        for statement in BUILD_ROWS {
            state.sql(statement).await;
        }
        state
    }

    /// Changes the database directly.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut tx = self.state.database.write().await.unwrap();
        let statement = sqlx::query(statement);
        statement.execute(tx.connection()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Creates a state with a clock.
    pub(crate) async fn at(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = arguments(folder.path());
        let (source_config, webhook) = args.sources().unwrap();
        let database = open_database(folder.path(), clock).await;
        let replans = Replans::default();
        let (sources, _) = sources::load(database.clone(), source_config, replans.sender())
            .await
            .unwrap();
        let core_parts = CoreParts {
            config: args.config(args.listen, webhook).unwrap(),
            database,
            sources,
            replans,
            base: BaseRepositories::default(),
            limits: Limits::new(&args.connections.settings()).unwrap(),
            disk: disk(folder.path()),
            plan_limit: Duration::from_secs(60),
        };
        let parts = Parts::new(folder.path(), core_parts, CancellationToken::new()).unwrap();
        Self {
            state: AppState::new(parts),
            _folder: folder,
        }
    }
}

/// Returns the pipeline of a queued attempt. GitLab has created it; its job has not exchanged its ID token.
pub(crate) fn pipeline_row() -> PipelineRow {
    PipelineRow {
        attempt: AttemptId::new(),
        build: BuildId(1),
        project_id: ProjectId(1),
        git_ref: "main".into(),
        commit: "0".repeat(40).parse().unwrap(),
        requested_at: Some(Millis(1)),
        pipeline_id: Some(PipelineId(2)),
        url: None,
        status: None,
        job_id: None,
        cancel_sent_at: None,
        ended_at: None,
        reported_at: None,
        reported_kind: None,
        reported_message: None,
        reported_hint: None,
        job_timeout: None,
        running_since: None,
        attempt_status: AttemptStatus::Queued,
        cancel_requested: false,
        lease_expires_at: Millis(0),
    }
}

/// Returns refusals as callers get them, for snapshots: title, detail and hint.
pub(crate) fn refusals<const N: usize>(refusals: [(&str, Error); N]) -> String {
    let text = |(name, error): (&str, Error)| {
        let problem = error.into_problem();
        let mut lines = vec![format!("## {name} ({})", problem.status), problem.title];
        lines.extend(problem.detail.map(|detail| format!("detail: {detail}")));
        lines.extend(problem.hint.map(|hint| format!("hint: {hint}")));
        lines.join("\n")
    };
    refusals.map(text).join("\n\n")
}

/// Returns the disk of a folder, without a reserve: tests do not depend on the free space of their machine.
pub(crate) fn disk(folder: &Path) -> Disk {
    Disk::open(folder, Some(0)).unwrap()
}
