//! The database: one function opens it, one file or folder per table queries it. SQL and rows only; services
//! ([`crate::service`]) decide what changes.
//!
//! There is one connection for writing, so that writers queue in the process instead of failing with `SQLITE_BUSY`,
//! and two pools for reading, so that anonymous requests take no connection from workers and administrators. Queued
//! writes share one commit (`writer`).

pub mod activity;
pub mod attempts;
pub mod builds;
mod checkpoints;
pub mod durations;
pub mod events;
pub mod expectations;
pub mod figures;
pub mod forge_reports;
pub mod id_tokens;
pub mod inspection;
pub mod iterations;
pub mod linked_packages;
mod namespace_extent;
pub mod namespaces;
mod open_error;
pub mod orphan_pipelines;
pub mod packages;
pub mod pipelines;
pub mod plans;
pub mod releases;
pub mod retired_packages;
pub mod reuse;
pub mod source_progress;
pub mod source_repositories;
pub mod srcinfos;
pub mod tokens;
pub mod webhook_deliveries;
pub mod work;
pub mod worker_drains;
pub mod worker_profiles;
pub mod workers;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use buildbtw_model::TokenId;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlitePool};

use crate::metrics::database::DatabaseMetrics;
use crate::time::Clock;
pub use checkpoints::Checkpointer;
pub use open_error::OpenError;

pub use writer::WriteTransaction;
use writer::Writer;

/// All migrations, embedded.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// How long the start waits for another process that locks the database, for example a backup.
const BUSY_AT_START: Duration = Duration::from_secs(20);
/// How long a statement of a request waits for such a lock: a request has several statements, and can be repeated.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// SQLITE_CORRUPT (SQLite, rescode).
const CORRUPT: &str = "11";
const READERS: u32 = 6;
/// The number of connections for anonymous requests.
const PUBLIC_READERS: u32 = 4;
/// How many rows SQLite's thread reads ahead of their consumer. With few, the two threads of a long query wake each
/// other for every other row.
const ROWS_AHEAD: usize = 512;

/// The server's database.
#[derive(Clone, Debug)]
pub struct Database {
    readers: SqlitePool,
    public: SqlitePool,
    writer: Arc<Writer>,
    clock: Clock,
    metrics: DatabaseMetrics,
}

impl Database {
    /// Opens or creates the database and applies its migrations. The times of changes are those of `clock`.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let open_error = |source: sqlx::Error| match &source {
            sqlx::Error::Database(error) if error.code().as_deref() == Some(CORRUPT) => {
                OpenError::Damaged {
                    path: name.clone(),
                    finding: error.message().to_owned(),
                }
            }
            _ => OpenError::Open {
                path: name.clone(),
                source,
            },
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut must not undo what a response has confirmed.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_AT_START)
            .row_buffer_size(ROWS_AHEAD)
            .optimize_on_close(true, None);
        let first = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(open_error)?;
        if let Some(finding) = damage(&first).await {
            return Err(OpenError::Damaged {
                path: name,
                finding,
            });
        }
        let migrated = MIGRATOR.run(&first).await;
        first.close().await;
        migrated.map_err(|source| OpenError::Migrate {
            path: name.clone(),
            source,
        })?;
        // Another connection checkpoints, because a commit would wait for it.
        let options = options
            .pragma("wal_autocheckpoint", "0")
            .busy_timeout(BUSY_TIMEOUT);
        let writer = options.connect().await.map_err(open_error)?;
        let own = readers(&options, READERS).await.map_err(open_error)?;
        let public = readers(&options, PUBLIC_READERS)
            .await
            .map_err(open_error)?;
        let metrics = DatabaseMetrics::default();
        let writer = Writer::new(writer, options, clock.clone(), metrics.clone());
        Ok(Self {
            readers: own,
            public,
            writer,
            clock,
            metrics,
        })
    }

    /// Returns the clock of the server.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the metrics of the writer.
    #[must_use]
    pub fn metrics(&self) -> &DatabaseMetrics {
        &self.metrics
    }

    /// Returns the pool for reads outside write transactions. Inside `for_anonymous` it is a separate pool.
    #[must_use]
    pub fn read(&self) -> &SqlitePool {
        if FOR_ANONYMOUS.try_with(|()| ()).is_ok() {
            &self.public
        } else {
            &self.readers
        }
    }

    /// Begins a write transaction; waits for the earlier ones, and sees their changes. Never wait for the network or
    /// for large files while holding it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn write(&self) -> sqlx::Result<WriteTransaction> {
        self.writer.begin().await
    }

    /// Waits until the task that commits writes has ended, which is a fault: every later write waits forever.
    pub async fn committer_ended(&self) {
        self.writer.committer_ended().await;
    }

    /// Returns a checkpointer of the write-ahead log. Only one may wait until a checkpoint is due.
    #[must_use]
    pub fn checkpointer(&self) -> Checkpointer {
        self.writer.checkpointer()
    }

    /// Closes all connections, and merges the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.public.close().await;
        self.writer.close().await;
    }
}

async fn readers(options: &SqliteConnectOptions, count: u32) -> sqlx::Result<SqlitePool> {
    let options = options
        .clone()
        .create_if_missing(false)
        .read_only(true)
        // It writes, which fails, and a connection that fails to close may outlive the writer's: the write-ahead log
        // would stay, because only a connection that writes can merge it.
        .optimize_on_close(false, None);
    SqlitePoolOptions::new()
        .max_connections(count)
        .acquire_timeout(CONNECTION_TIMEOUT)
        // A connection to a file does not break while it is idle, and one is tested after each use.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
}

tokio::task_local! {
    /// Set while an anonymous request is served.
    static FOR_ANONYMOUS: ();
}

/// Runs a future for an anonymous request, which reads over connections that only such requests use.
pub(crate) async fn for_anonymous<T>(what: impl Future<Output = T>) -> T {
    FOR_ANONYMOUS.scope((), what).await
}

/// Does the same as [`for_anonymous`] for one poll of a response body that is produced while it is sent.
pub(crate) fn poll_for_anonymous<T>(poll: impl FnOnce() -> T) -> T {
    FOR_ANONYMOUS.sync_scope((), poll)
}

/// Returns the first damage in the structure of the file, if there is any. Reading all of it at the start
/// prevents writes to a damaged database.
async fn damage(pool: &SqlitePool) -> Option<String> {
    let found: sqlx::Result<String> = sqlx::query_scalar("pragma quick_check(1)")
        .fetch_one(pool)
        .await;
    match found {
        Ok(finding) if finding == "ok" => None,
        Ok(finding) => Some(in_one_line(&finding)),
        Err(error) => Some(error.to_string()),
    }
}

/// Returns what SQLite has found in one line, without the heading for the only database of a file.
pub(crate) fn in_one_line(finding: &str) -> String {
    let lines = finding.lines().filter(|line| !line.starts_with("*** "));
    let lines: Vec<&str> = lines.collect();
    lines.join("; ")
}

/// Serializes a list as a parameter: a statement for many rows costs little more than one for a single row.
///
/// # Errors
/// When an item cannot be serialized, which numbers and strings always can.
fn json_list<T: serde::Serialize>(items: &[T]) -> sqlx::Result<String> {
    serde_json::to_string(items).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Row ids with a type of their own.
macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident),+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(pub i64);
    )+};
}

row_id! {
    /// The id of a namespace's row.
    NamespaceId,
    /// The id of an iteration's row.
    IterationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opens_with_durable_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        let database = Database::open(&path, Clock::default()).await.unwrap();
        let mut tx = database.write().await.unwrap();
        let pragma = async |tx: &mut WriteTransaction, query: &'static str| -> String {
            let row: (String,) = sqlx::query_as(query)
                .fetch_one(tx.connection())
                .await
                .unwrap();
            row.0
        };
        assert_eq!(
            pragma(&mut tx, "select journal_mode from pragma_journal_mode").await,
            "wal"
        );
        let full = "select cast(synchronous as text) from pragma_synchronous";
        assert_eq!(pragma(&mut tx, full).await, "2");
        let keys = "select cast(foreign_keys as text) from pragma_foreign_keys";
        assert_eq!(pragma(&mut tx, keys).await, "1");
        drop(tx);
        let refused = sqlx::query("delete from token")
            .execute(database.read())
            .await;
        assert!(refused.is_err(), "readers must not write");
    }

    #[tokio::test]
    async fn reserves_connections_from_anonymous_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        let database = Database::open(&path, Clock::default()).await.unwrap();
        let held = for_anonymous(async {
            let mut held = Vec::new();
            for _ in 0..PUBLIC_READERS {
                held.push(database.read().acquire().await.unwrap());
            }
            assert!(database.read().try_acquire().is_none());
            held
        });
        let held = held.await;
        assert!(poll_for_anonymous(|| database.read().try_acquire()).is_none());
        assert!(database.read().acquire().await.is_ok());
        drop(held);
    }
}
