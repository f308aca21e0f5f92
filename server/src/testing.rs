//! A state for unit tests: services run on it without a server, a socket or background tasks.

use std::ops::Deref;
use std::time::Duration;

use clap::Parser as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::admission::Limits;
use crate::cli::{Cli, Command};
use crate::db::Database;
use crate::repos::base::BaseRepositories;
use crate::sources;
use crate::state::replans::Replans;
use crate::state::{AppState, CoreParts, Parts};

/// A state with an empty folder of sources. No actor serves its queues.
pub(crate) struct TestState {
    pub(crate) state: AppState,
    _folder: TempDir,
}

/// Creates a namespace whose row cannot be read: a failure of the database that ends with its name.
pub(crate) const UNREADABLE_NAMESPACE: &str = "insert into namespace
    (id, name, scope, max_builds, bump, follow_default_s, created_at)
    values (1, 'Not a name', 'transitive', 1, 1, 3600, 1)";

impl Deref for TestState {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.state
    }
}

impl TestState {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Changes the database directly.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut tx = self.state.database.write().await.unwrap();
        let statement = sqlx::query(statement);
        statement.execute(tx.connection()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Creates a state and applies `change` to its parts.
    pub(crate) async fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let arguments = ["buildbtw-server", "run", "--sources-dir", path];
        let Command::Run(args) = Cli::try_parse_from(arguments).unwrap().command else {
            unreachable!("these are the arguments of a server");
        };
        let (source_config, webhook) = args.sources().unwrap();
        let database = Database::open(&folder.path().join("db.sqlite3"))
            .await
            .unwrap();
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
            limits: Limits::new(&args.connections).unwrap(),
            plan_limit: Duration::from_secs(60),
        };
        let mut parts = Parts::new(folder.path(), core_parts, CancellationToken::new()).unwrap();
        change(&mut parts);
        Self {
            state: AppState::new(parts),
            _folder: folder,
        }
    }
}
