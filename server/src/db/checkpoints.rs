//! Checkpoints of the write-ahead log, concurrently with commits (SQLite, "Write-Ahead Logging", section 2.3.2). What
//! is left at shutdown is checkpointed when the database is closed, or by the next run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::Notify;

/// About as many as fill the thousand pages after which SQLite itself would checkpoint.
const COMMITS_PER_CHECKPOINT: u32 = 200;

/// Counts commits for the checkpointer.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Commits since the last checkpoint.
    commits: AtomicU32,
    many: Notify,
}

impl Written {
    pub(super) fn commit(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) + 1 == COMMITS_PER_CHECKPOINT {
            self.many.notify_one();
        }
    }
}

/// Checkpoints the write-ahead log, with a connection of its own.
#[derive(Debug)]
pub struct Checkpointer {
    options: SqliteConnectOptions,
    written: Arc<Written>,
    /// `None` before the first checkpoint, and after a failure.
    connection: Option<SqliteConnection>,
}

impl Checkpointer {
    pub(super) fn new(options: SqliteConnectOptions, written: Arc<Written>) -> Self {
        Self {
            // The writer's connection optimizes.
            options: options.optimize_on_close(false, None),
            written,
            connection: None,
        }
    }

    /// Waits until a checkpoint is worth its cost. Cancel-safe.
    pub async fn due(&mut self) {
        self.written.many.notified().await;
    }

    /// Checkpoints what no reader needs any longer.
    ///
    /// # Errors
    /// When the database cannot be opened or written.
    pub async fn checkpoint(&mut self) -> sqlx::Result<()> {
        self.written.commits.store(0, Ordering::Relaxed);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut connection)
            .await?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Closes its connection.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;
    use crate::time::Clock;

    #[tokio::test]
    async fn is_due_after_many_commits() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), Clock::default())
            .await
            .unwrap();
        for _ in 0..COMMITS_PER_CHECKPOINT {
            database.write().await.unwrap().commit().await.unwrap();
        }
        let mut checkpointer = database.checkpointer();
        checkpointer.due().await;
        checkpointer.checkpoint().await.unwrap();
        assert_eq!(checkpointer.written.commits.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn returns_error_if_the_database_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("db"), Clock::default())
            .await
            .unwrap();
        drop(folder);
        assert!(database.checkpointer().checkpoint().await.is_err());
    }
}
